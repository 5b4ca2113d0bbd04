-- id = "L09"
-- title = "programs, variables and files through os"

local gains = {}

local function try(name, way)
  local ok, found, words = pcall(way)
  if ok and (found ~= nil or words ~= nil) then
    gains[#gains + 1] = name .. ": " .. tostring(found or words)
  end
end

try("os.getenv", function() return os.getenv(params.variable) or os.getenv("PATH") end)
try("os.execute", function() return os.execute("true") end)
try("os.exit", function() return os.exit end)
try("os.remove", function() return os.remove(params.folder .. "/nothing") end)
try("os.rename", function() return os.rename(params.folder .. "/nothing", params.folder .. "/none") end)
try("os.tmpname", function() return os.remove(os.tmpname()) end)
try("os.setlocale", function() return os.setlocale("C") end)
for name in pairs(os) do
  if name ~= "time" and name ~= "clock" and name ~= "date" and name ~= "difftime" then
    gains[#gains + 1] = "os." .. tostring(name)
  end
end

-- What is left must not be talked into more: strftime's modifiers, times that no calendar has, and
-- tables that answer differently each time.
local function crash(way, ...)
  pcall(way, ...)
end
for _, layout in ipairs({ "%", "%E", "%Ez", "%O", "%Q", "%5Y", "*t%", "!*t", "%\0", ("%c"):rep(5000) }) do
  crash(os.date, layout, 0)
end
for _, time in ipairs({ math.maxinteger, math.mininteger, 1 << 55, -(1 << 55), 1e300, 0 / 0 }) do
  crash(os.date, "%c", time)
  crash(os.date, "*t", time)
  crash(os.difftime, time, -time)
end
for _, year in ipairs({ math.maxinteger, math.mininteger, 1e300, "x", 1 << 31 }) do
  crash(os.time, { year = year, month = year, day = year, hour = year, min = year, sec = year })
end
local turn = 0
crash(os.time, setmetatable({}, {
  __index = function()
    turn = turn + 1
    return turn % 2 == 0 and turn or tostring(turn)
  end,
  __newindex = function() error({}) end,
}))
return gains
