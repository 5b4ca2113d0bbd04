-- id = "L22"
-- title = "more results than a stack has slots"
-- expect = ["ok", "memory_limit"]
-- policy = {memory = 134217728}

-- Redis CVE-2025-46817: unpack's count overflowed.
local gains = {}

local function must_fail(name, ...)
  local outer, ok, found = pcall(pcall, ...)
  if outer and ok then
    gains[#gains + 1] = name .. " gave " .. tostring(found):sub(1, 100)
  end
end

local low, high = math.mininteger, math.maxinteger
local long = ("x"):rep(8 << 20)
must_fail("unpack", table.unpack, {}, 1, 10000000)
must_fail("unpack 2^31", table.unpack, {}, 0, (1 << 31) - 1)
must_fail("unpack 2^32", table.unpack, {}, 1, 1 << 32)
must_fail("unpack backwards", table.unpack, {}, low, high)
must_fail("unpack to the end", table.unpack, {}, high - 10000000, high)
must_fail("unpack from the start", table.unpack, {}, low, 0)
must_fail("byte", string.byte, long, 1, -1)
must_fail("codepoint", utf8.codepoint, long, 1, -1)
must_fail("select", select, low, 1)
must_fail("select 0", select, 0, 1)
must_fail("char", string.char, 256)
must_fail("concat", table.concat, {}, "", low, high)
must_fail("concat to the end", table.concat, {}, "", high - 1, high)
must_fail("move", table.move, {}, low, high, 1)
must_fail("move past the end", table.move, {}, 1, high, high)
must_fail("insert", table.insert, {}, high, 1)
must_fail("remove", table.remove, {}, high)
must_fail("random", math.random, 1, 0)
must_fail("utf8.char", utf8.char, -1)
must_fail("rep", string.rep, long, high)
must_fail("find in C's stack", string.find, long, ("(x"):rep(100) .. (")"):rep(100))
must_fail("a deep pattern", string.find, long, ("x?"):rep(300000) .. "y")
must_fail("an unfinished set", string.find, "x", "[" .. ("a"):rep(1 << 16))
must_fail("an unfinished escape", string.find, "x", "%")
must_fail("a capture of itself", string.find, "x", "(%1)")
must_fail("a capture that is not there", string.gsub, "x", "x", "%9")

-- These have answers, and must give the right ones.
local function equal(name, found, expected)
  if found ~= expected then
    gains[#gains + 1] = name .. " gave " .. tostring(found):sub(1, 100)
  end
end
equal("nothing unpacked", select("#", table.unpack({}, high, low)), 0)
equal("the last index", select("#", table.unpack({}, high, high)), 1)
equal("sub", (long:sub(low, high)), long)
equal("sub behind", (long:sub(high, low)), "")
equal("byte behind", select("#", long:byte(high, low)), 0)
equal("select from behind", (select(-1, 1, 2)), 2)
equal("find behind", ("x"):find("x", high), nil)
equal("offset", pcall(utf8.offset, "x", low), true)
equal("random", math.type(math.random(low, high)), "integer")
equal("many arguments", select("#", table.unpack({}, 1, 200000)), 200000)
equal("many to the host", #json.decode(json.encode({ table.unpack({ 1, 2 }, 1, 2) })), 2)
-- Whatever these do, they do it to this spell alone.
for _, call in ipairs({ json.encode, string.char, tostring, select }) do
  pcall(function() local _ = call(table.unpack({}, 1, 100000)) end)
end
pcall(function()
  local _ = coroutine.wrap(function(...) return ... end)(table.unpack({}, 1, 900000))
end)
return gains
