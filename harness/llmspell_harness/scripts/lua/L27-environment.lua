-- id = "L27"
-- title = "a world of our own for chunks that come later"

local gains = {}

local MARK = "left by an attack"
if rawget(_G, MARK) or string[MARK] or json[MARK] then
  gains[#gains + 1] = "the state of another run"
end

-- Whatever is looked up from now on, and is not there, is ours.
local asked = {}
setmetatable(_G, {
  __index = function(_, name)
    asked[#asked + 1] = name
    return function() return "faked" end
  end,
  __newindex = function(t, name, value) rawset(t, name, value) end,
})
llm = setmetatable({}, { __index = llm })
_G[MARK] = 1

local text = json.encode({ null = json.null })
if text ~= '{"null":null}' then
  gains[#gains + 1] = "json.encode is another: " .. tostring(text)
end
console.log({ 1 })
pcall(json.decode, "{")
pcall(llm.models, print)
for _, name in ipairs(asked) do
  gains[#gains + 1] = "the host's side looked up " .. tostring(name)
end
asked = {}

-- A chunk in an empty world finds nothing, and one in a forged world only what we gave it.
local ok, found = pcall(load("local x = ... return _G, python, os, x", "x", "t", {}), 1)
if not ok or found ~= nil then
  gains[#gains + 1] = "names in an empty environment"
end
do
  local _ENV <const> = { gains = gains }
  if os or python or _G then
    gains[#gains + 1] = "names behind _ENV"
  end
end
local closed = load("return function() return _ENV end", "x", "t", nil)
if closed and closed()() ~= nil then
  gains[#gains + 1] = "an environment in place of nil"
end
for _, hostile in ipairs({ 1, "x", true, print }) do
  pcall(load("return x", "x", "t", hostile))
  pcall(load("x = 1", "x", "t", hostile))
end

-- The end of the run goes through none of it.
_ENV = setmetatable({}, { __index = function() return 1 end })
return gains
