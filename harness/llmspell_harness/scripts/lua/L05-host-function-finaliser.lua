-- id = "L05"
-- title = "the finaliser of the host function"

-- It drops Python's reference: what is called afterwards is freed memory.
local gains = {}

local before = json.decode("[1]")[1]
local things = { llm.models, json.decode, json.encode, console.log, util and util.uuid }
local METHODS = { "__gc", "__call", "__index", "__close", "__newindex", "__tostring" }
for _, thing in pairs(things) do
  local meta = getmetatable(thing)
  if meta ~= nil and meta ~= false then
    gains[#gains + 1] = "the metatable of a host function"
    for _, method in ipairs(METHODS) do
      local ok, found = pcall(function() return meta[method] end)
      if ok and found ~= nil then
        gains[#gains + 1] = method
        if method == "__gc" then
          pcall(found, thing)
        end
      end
    end
  end
  if pcall(setmetatable, thing, {}) then
    gains[#gains + 1] = "a metatable of our own"
  end
end

-- Streams and errors are ours to hold, not to take apart.
local _, raised = pcall(json.decode, "{")
for name, thing in pairs({ error = raised, null = json.null, object = json.object and json.object(),
  env = env, text = "" }) do
  local meta = getmetatable(thing)
  if meta then
    gains[#gains + 1] = "the metatable of " .. name
  end
  if pcall(setmetatable, thing, { __gc = function() end }) and name ~= "text" then
    gains[#gains + 1] = "a finaliser for " .. name
  end
end

collectgarbage()
collectgarbage()
local ok, after = pcall(json.decode, "[1]")
if not ok or after[1] ~= before then
  gains[#gains + 1] = "host calls no longer work"
end
if not pcall(llm.models) then
  gains[#gains + 1] = "bridges no longer work"
end
return gains
