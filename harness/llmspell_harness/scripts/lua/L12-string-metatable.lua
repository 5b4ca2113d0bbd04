-- id = "L12"
-- title = "the metatables of basic types, poisoned"

-- Redis CVE-2025-46818: what one script does to them, the next one runs.
local gains = {}

local MARK = "left by an attack"
for _, value in ipairs({ "", 0, 0.5, true, print }) do
  local meta = getmetatable(value)
  if meta then
    gains[#gains + 1] = "the metatable of a " .. type(value)
    pcall(function() meta.__index[MARK] = 1 end)
  end
  if pcall(setmetatable, value, { __index = _G }) then
    gains[#gains + 1] = "a new metatable for a " .. type(value)
  end
end
if getmetatable(nil) or pcall(setmetatable, nil, {}) then
  gains[#gains + 1] = "the metatable of nil"
end

-- Our own `string` is ours to spoil. Nobody else may run what we put there.
local hijacked = 0
for _, library in ipairs({ string, table, math, utf8, coroutine }) do
  for name, call in pairs(library) do
    if type(call) == "function" then
      library[name] = function(...)
        hijacked = hijacked + 1
        return call(...)
      end
    end
  end
end
local names = { "pcall", "error", "type", "next", "select", "tostring", "setmetatable", "rawget",
  "rawset", "pairs", "ipairs", "assert", "load", "xpcall", "rawequal", "rawlen", "getmetatable" }
local ours = {}
for _, name in ipairs(names) do
  ours[name] = _G[name]
  _G[name] = function(...)
    hijacked = hijacked + 1
    return ours[name](...)
  end
end
hijacked = 0
json.decode(json.encode({ 1, { a = "x" }, 0.5 }))
console.log("text", { 1, { a = "x" } }, nil, 0.5)
llm.models()
ours.pcall(json.encode, print)
ours.pcall(llm.models, print)
ours.pcall(util.hash, {})
ours.xpcall(json.decode, debug.traceback, "{")
if hijacked > 0 then
  gains[#gains + 1] = "the host's side called what we had put there, " .. hijacked .. " times"
end

-- The next run, of whatever spell, would find this.
if string[MARK] or ours.rawget(_G, MARK) or json[MARK] then
  gains[#gains + 1] = "the state of another run"
end
string[MARK], json[MARK] = 1, 1
ours.rawset(_G, MARK, 1)
return gains
