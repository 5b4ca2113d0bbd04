-- id = "L24"
-- title = "formats wider than their buffers"

local gains = {}

local function must_fail(name, ...)
  local ok, found = pcall(...)
  if ok then
    gains[#gains + 1] = name .. " gave " .. tostring(found):sub(1, 100)
  end
end
local function length(name, expected, ...)
  local ok, text = pcall(...)
  if not ok or #text ~= expected then
    gains[#gains + 1] = name .. " gave " .. tostring(text):sub(1, 100)
  end
end

local format, pack, unpack = string.format, string.pack, string.unpack
for _, bad in ipairs({ "%99999d", "%100d", "%.100f", "%1000000s", "%.999s", "%-+ #0-+ #0d", "%",
  "%5.", "%#s", "%0s", "%ll", "%n", "%hn", "%*d", "%1$s", "%10q", "%.3c", "%\0", "%99999999999d" }) do
  must_fail(bad, format, bad, 1, 1)
end
length("the longest number", 309 + 1 + 99, format, "%99.99f", 1.7976931348623157e308)
length("the longest negative", 310 + 1 + 99, format, "%-99.99f", -1.7976931348623157e308)
length("wide", 99, format, "%99d", 1)
length("hexadecimal", 99, format, "%99.20a", math.pi)
length("NUL", 3, format, "%s", "a\0b")
must_fail("NUL by a width", format, "%-3s", "a\0b")
length("a megabyte", 1 << 20, format, "%s", ("x"):rep(1 << 20))
for _, value in ipairs({ 0 / 0, math.huge, -math.huge, 5e-324, -0.0 }) do
  for _, layout in ipairs({ "%a", "%99.99e", "%.99g", "%q", "%5.3f" }) do
    pcall(format, layout, value)
  end
  must_fail("an integer of " .. value, format, "%d", value == value and value * 0.5 + 0.3 or value)
end
must_fail("few arguments", format, ("%s"):rep(100), 1)
must_fail("%q of a table", format, "%q", {})
must_fail("%s of what has no text", format, "%s", setmetatable({}, { __tostring = function() end }))

for _, bad in ipairs({ "i17", "i0", "!17", "!3 i3Xi8", "s17", "c", "X", "I99999999999999999999",
  "c99999999999999999999999", "!0", "z", "?" }) do
  must_fail("pack " .. bad, pack, bad, bad == "z" and "a\0b" or 1, 1)
end
must_fail("an integer that does not fit", pack, "i1", 300)
must_fail("a string that does not fit", pack, "s1", ("x"):rep(300))
must_fail("packsize", string.packsize, ("c2147483647"):rep(3))
must_fail("packsize of what varies", string.packsize, "s")
must_fail("a length beyond the data", unpack, "s8", ("\xff"):rep(8) .. "x")
must_fail("a length that wraps", unpack, "<s8", "\xf8" .. ("\xff"):rep(7) .. "x")
must_fail("behind the data", unpack, "i8", ("x"):rep(8), 2)
must_fail("far behind", unpack, "i8", "x", math.maxinteger)
must_fail("no end", unpack, "z", "abc")
must_fail("a wide integer", unpack, "i16", ("\x7f"):rep(16))
must_fail("too many results", unpack, ("b"):rep(1 << 21), ("x"):rep(1 << 21))
return gains
