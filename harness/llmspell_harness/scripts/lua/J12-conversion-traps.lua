-- id = "J12"
-- title = "metamethods that strike while values are converted"

-- Values are read raw: none of these may be called at all.
local gains = {}

local called = {}
local function trap(name)
  return function()
    called[name] = true
    error("trapped", 0)
  end
end
local EVENTS = { "__index", "__newindex", "__len", "__pairs", "__ipairs", "__call", "__eq", "__lt",
  "__concat", "__unm", "__tostring", "__close" }
local hostile = { 1, 2, { a = "x" } }
local meta = { __name = {}, __metatable = "none of yours" }
for _, event in ipairs(EVENTS) do
  meta[event] = trap(event)
end
setmetatable(hostile, meta)
setmetatable(hostile[3], meta)

local ok, text = pcall(json.encode, hostile)
if not ok or text ~= '[1,2,{"a":"x"}]' then
  gains[#gains + 1] = "json.encode gave " .. tostring(text)
end
pcall(llm.models, hostile)
pcall(util.hash, hostile)
pcall(math.sum, hostile)
for event in pairs(called) do
  gains[#gains + 1] = event .. " was called"
end

-- Finalisers run when they like: they may call, and change the very value.
local shifting = {}
local function shift()
  for i = 1, 100 do
    shifting[i] = nil
  end
  shifting.name = shift
  pcall(json.encode, shifting)
end
for _ = 1, 200 do
  shifting = {}
  for i = 1, 100 do
    shifting[i] = ("item " .. i):rep(10)
  end
  setmetatable({}, { __gc = shift })
  local done, encoded = pcall(json.encode, shifting)
  if done and not encoded:find("^[%[{]") then
    gains[#gains + 1] = "half a value: " .. encoded:sub(1, 50)
  end
  collectgarbage("step")
end
return setmetatable(gains, meta)
