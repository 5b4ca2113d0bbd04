-- id = "L11"
-- title = "the debug library"

local gains = {}

local function try(name, way)
  local ok, found = pcall(way)
  if ok and found ~= nil and found ~= false then
    gains[#gains + 1] = name
  end
end

try("debug.getregistry", function() return debug.getregistry()[1] end)
try("debug.getupvalue", function() return debug.getupvalue(llm.models, 1) end)
try("debug.setupvalue", function() return debug.setupvalue(json.encode, 1, print) end)
try("debug.upvalueid", function() return debug.upvalueid(llm.models, 1) end)
try("debug.upvaluejoin", function() return debug.upvaluejoin end)
try("debug.sethook", function() return debug.sethook() or "hooked" end)
try("debug.gethook", function() return debug.gethook end)
try("debug.getinfo", function() return debug.getinfo(1, "f").func end)
try("debug.getlocal", function() return debug.getlocal(1, 1) end)
try("debug.setlocal", function() return debug.setlocal end)
try("debug.getmetatable", function() return debug.getmetatable("") end)
try("debug.setmetatable", function()
  return debug.setmetatable(nil, { __index = _G }) == nil and "nil has a metatable"
end)
try("debug.getuservalue", function() return debug.getuservalue end)
try("debug.setcstacklimit", function() return debug.setcstacklimit(30000) end)
try("debug.debug", function() return debug.debug end)
for name in pairs(debug) do
  if name ~= "traceback" then
    gains[#gains + 1] = "debug." .. tostring(name)
  end
end

-- A traceback is text about the spell's own frames.
local function path_in(text)
  return type(text) == "string" and (text:find("/", 1, true) or text:find("llmspell", 1, true)
    or text:find("%.py") or text:find("prelude", 1, true))
end
local thread = coroutine.create(function() coroutine.yield(json.encode({})) end)
coroutine.resume(thread)
for _, arguments in ipairs({
  {}, { "x" }, { "x", 0 }, { "x", -1 }, { "x", math.mininteger }, { "x", math.maxinteger },
  { thread }, { thread, "x", 0 }, { thread, "x", -5 }, { coroutine.running() }, { 5, 1e300 },
}) do
  local ok, text = pcall(debug.traceback, table.unpack(arguments))
  if ok and path_in(text) then
    gains[#gains + 1] = "a traceback tells: " .. text
  end
end
for _, call in ipairs({ llm.models, json.decode, json.encode, util.base64_decode, util.hash }) do
  local _, text = xpcall(call, debug.traceback, print)
  if path_in(tostring(text)) then
    gains[#gains + 1] = "a host error's traceback tells: " .. tostring(text)
  end
end
return gains
