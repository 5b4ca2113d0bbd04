-- id = "J07"
-- title = "lists as long as memory, most of them holes"

-- Refused before anything is made of them.
local gains = {}
local BUDGET = 1.0 -- seconds of processor time, in all

local function refused(name, value)
  local ok, problem = pcall(json.encode, value)
  if ok or tostring(problem.kind) ~= "Conversion" then
    gains[#gains + 1] = name .. ": " .. tostring(problem):sub(1, 100)
  end
end

local began = os.clock()
refused("a far item", { [1] = 1, [4294967295] = 1 })
refused("the last item", { [math.maxinteger] = 1 })
refused("the first item", { [math.mininteger] = 1 })
refused("an item before the first", { [0] = 1, 2, 3 })
refused("half an index", { [1.5] = 1 })
refused("an infinite index", { [math.huge] = 1 })
local long = {}
for i = 1, 300000 do
  long[i] = i
end
refused("a long list", long)
refused("a long list, deep down", { { { long } } })
local wide = {}
for i = 1, 300 do
  wide[i] = { table.unpack(long, 1, 1000) }
end
refused("many lists", wide)
local shared = { table.unpack(long, 1, 1000) }
for _ = 1, 20 do
  shared = { shared, shared, shared, shared }
end
refused("one list many times over", shared)
-- A length that lies is not asked.
local liar = setmetatable({ 1 }, { __len = function() return math.maxinteger end })
local ok, text = pcall(json.encode, liar)
if not ok or text ~= "[1]" then
  gains[#gains + 1] = "__len was believed: " .. tostring(text)
end
if os.clock() - began > BUDGET then
  gains[#gains + 1] = "it took too long"
end
return gains
