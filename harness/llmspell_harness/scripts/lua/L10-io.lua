-- id = "L10"
-- title = "files and descriptors through io"

local gains = {}

local function try(name, way)
  local ok, found = pcall(way)
  if ok and found ~= nil then
    gains[#gains + 1] = name .. ": " .. tostring(found)
  end
end

try("io.open", function() return io.open(params.file):read("a") end)
try("io.lines", function() return io.lines(params.file)() end)
try("io.popen", function() return io.popen("true"):close() end)
try("io.tmpfile", function() return io.tmpfile():close() end)
try("io.stdout", function() return io.stdout:write("") end)
try("io.stderr", function() return io.stderr:write("") end)
try("io.output", function() return io.output() end)
try("writing", function() return io.open(params.folder .. "/written", "w"):write("x") end)
-- Into the protocol's own pipe, by the name that procfs gives it.
for fd = 0, 9 do
  try("descriptor " .. fd, function() return io.open("/proc/self/fd/" .. fd, "a"):write("") end)
end
for name, library in pairs(_G) do
  if type(library) == "table" and (library.open or library.popen or library.tmpfile) then
    gains[#gains + 1] = "something like io: " .. tostring(name)
  end
end
return gains
