-- id = "L21"
-- title = "bombs for the parser"

local gains = {}
local SLOW = 1.0 -- seconds of processor time, in all

local function parse(name, source, must_fail)
  local chunk, message = load(source)
  if chunk and must_fail then
    gains[#gains + 1] = name .. " compiled"
  elseif not chunk and not must_fail and not message:find("limit", 1, true)
    and not message:find("too many", 1, true) and not message:find("overflow", 1, true) then
    gains[#gains + 1] = name .. ": " .. message:sub(1, 200)
  elseif not chunk and (message:find("llmspell", 1, true) or #message > 1000) then
    gains[#gains + 1] = name .. " tells too much: " .. message:sub(1, 200)
  end
end

local function nested(name, before, inside, after)
  for _, depth in ipairs({ 150, 250, 20000 }) do
    parse(name .. " " .. depth, before:rep(depth) .. inside .. after:rep(depth), depth > 200)
  end
end

local began = os.clock()
parse("parentheses", "return " .. ("("):rep(20000), true)
parse("closed parentheses", "return " .. ("("):rep(20000) .. "1" .. (")"):rep(20000), true)
parse("tables", "return " .. ("{"):rep(20000) .. ("}"):rep(20000), true)
parse("two hundred tables", "return " .. ("{"):rep(199) .. ("}"):rep(199))
parse("indices", "return " .. ("x["):rep(20000) .. "1" .. ("]"):rep(20000), true)
nested("blocks", "do ", "", " end")
nested("loops", "while x do ", "", " end")
nested("conditions", "if x then ", "", " end")
nested("functions", "return function() ", "", " end")
parse("unary", "return " .. (" - "):rep(20000) .. "1", true)
parse("not", "return " .. ("not "):rep(20000) .. "1", true)
parse("powers", "return " .. ("2^"):rep(20000) .. "2", true)
parse("concatenations", "return " .. ("x.."):rep(20000) .. "x", true)
parse("sums", "return " .. ("x+"):rep(20000) .. "x")
parse("calls", "return f" .. ("()"):rep(20000))
parse("fields", "return x" .. (".a"):rep(20000))
parse("elseif", "if x then " .. ("elseif x then "):rep(4000) .. "end")
parse("else if", ("if x then else "):rep(20000), true)
parse("labels", (function()
  local parts = {}
  for i = 1, 2000 do
    parts[i] = "::l" .. i .. ":: goto l" .. i
  end
  return table.concat(parts, " ")
end)())

local function many(count, make, separator)
  local parts = {}
  for i = 1, count do
    parts[i] = make(i)
  end
  return table.concat(parts, separator)
end
local function name(i) return "v" .. i end
parse("locals", "local " .. many(300, name, ",") .. " = 1", true)
parse("locals by statements", many(300, function(i) return "local v" .. i end, " "), true)
parse("attributes", many(300, function(i) return "local v" .. i .. "<const> = 1" end, " "), true)
parse("parameters", "return function(" .. many(300, name, ",") .. ") end", true)
parse("targets", many(300, name, ",") .. " = 1", true)
parse("arguments", "return f(" .. many(300, name, ",") .. ")", true)
parse("upvalues", (function()
  local outer = {}
  for level = 0, 3 do
    outer[#outer + 1] = "local " .. many(90, function(i) return "u" .. level .. "_" .. i end, ",")
      .. " return function() "
  end
  local uses = many(360, function(i) return "u" .. (i - 1) // 90 .. "_" .. (i - 1) % 90 + 1 end, "+")
  return table.concat(outer) .. "return " .. uses .. (" end"):rep(4)
end)(), true)
parse("constants", "return {" .. many((1 << 16) + 10, function(i) return i .. ".5" end, ",") .. "}")
parse("strings", "return {" .. many((1 << 15) + 10, function(i) return '"s' .. i .. '"' end, ",") .. "}")
parse("items", "return {" .. ("1,"):rep(1 << 18) .. "}")
parse("a long jump", "while x do " .. ("x = x "):rep(1 << 16) .. " end")
parse("a long name", "return " .. ("x"):rep(1 << 18))
parse("a long string", "return [" .. ("="):rep(1 << 16) .. "[x]" .. ("="):rep(1 << 16) .. "]")
parse("an open long string", "return [" .. ("="):rep(1 << 16) .. "[" .. ("]="):rep(1 << 16), true)
parse("a long number", "return " .. ("9"):rep(500) .. "x", true)
parse("escapes", 'return "' .. ("\\u{7FFFFFFF}\\x41\\065\\z  "):rep(10000) .. '"')
parse("a code point beyond", 'return "\\u{80000000}"', true)
parse("an open escape", 'return "' .. ("\\"):rep(100001), true)
parse("lines", ("\n"):rep(1 << 18) .. "return 1")
parse("comments", ("--[[" .. ("="):rep(100) .. "]]"):rep(5000))
parse("NUL", ("\0"):rep(1 << 16), true)
parse("octets", many(256, function(i) return string.char(i - 1) end, ""):rep(100), true)
local took = os.clock() - began
if took > SLOW then
  gains[#gains + 1] = ("it took %.1f s"):format(took)
end
return gains
