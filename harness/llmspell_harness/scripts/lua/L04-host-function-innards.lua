-- id = "L04"
-- title = "the innards of the host function"

local gains = {}

local NAMES = { "__globals__", "__closure__", "__self__", "__code__", "__class__", "__func__",
  "__defaults__", "__kwdefaults__", "__wrapped__", "__module__", "__dict__", "__builtins__",
  "__init__", "__call__", "__get__", "__reduce__", "func_globals", "gi_frame", "cr_frame" }

local function probe(name, object)
  for _, attribute in ipairs(NAMES) do
    local ok, found = pcall(function() return object[attribute] end)
    if ok and found ~= nil then
      gains[#gains + 1] = name .. "." .. attribute
    end
    if pcall(function() object[attribute] = 1 end) and type(object) ~= "table" then
      gains[#gains + 1] = name .. "." .. attribute .. " can be set"
    end
  end
  for _, operation in ipairs({
    function() return #object end,
    function() return object .. "" end,
    function() return object + 1 end,
    function() return object < object end,
  }) do
    if pcall(operation) then
      gains[#gains + 1] = name .. " has operators"
    end
  end
end

probe("llm.models", llm.models)
probe("json.decode", json.decode)
probe("console.log", console.log)
probe("a wrapped function", coroutine.wrap(function() llm.models() end))
local _, raised = pcall(llm.models, print)
if type(raised) == "userdata" then
  probe("a host's error", raised)
end

-- What it is called with is data, whatever it looks like.
for _, argument in ipairs({ "__class__", "{0.__globals__}", "%(x)s", "__import__('os')" }) do
  local ok, text = pcall(json.encode, argument)
  if not ok or text ~= '"' .. argument .. '"' then
    gains[#gains + 1] = "json.encode made " .. tostring(text) .. " of " .. argument
  end
end
return gains
