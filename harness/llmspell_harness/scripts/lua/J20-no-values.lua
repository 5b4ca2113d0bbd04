-- id = "J20"
-- title = "functions, coroutines and such like as values"

local gains = {}

local function refused(name, value)
  for _, wrapped in ipairs({ { value }, { a = value }, { { { value } } } }) do
    local ok, problem = pcall(json.encode, wrapped)
    if ok or tostring(problem.kind) ~= "Conversion" then
      gains[#gains + 1] = name .. ": " .. tostring(problem)
    end
  end
  local ok = pcall(llm.models, value)
  if ok then
    gains[#gains + 1] = name .. " was taken by a bridge"
  end
end
refused("a function", print)
refused("a host function", llm.models)
refused("a coroutine", coroutine.create(print))
refused("the globals", _G)
refused("a mixed table", { 1, a = 2 })
refused("a table as a key", { [{}] = 1 })
refused("a boolean as a key", { [true] = 1 })
local cycle = {}
cycle[1] = { { cycle } }
refused("a cycle", cycle)
local deep = {}
for _ = 1, 10000 do
  deep = { deep }
end
refused("ten thousand levels", deep)
return gains
