-- id = "L08"
-- title = "loaders of files and of native libraries"

local gains = {}

local function try(name, way)
  local ok, found, words = pcall(way)
  if ok and (found ~= nil or words ~= nil) then
    gains[#gains + 1] = name .. ": " .. tostring(found or words)
  end
end

-- What is no Lua is quoted in the error: a file can be read by loading it.
try("loadfile", function() return loadfile(params.file) end)
try("dofile", function() return dofile and select(2, pcall(dofile, params.file)) end)
try("require", function() return require and select(2, pcall(require, "os")) end)
try("package.loadlib", function() return package.loadlib("libc.so.6", "*") end)
try("package.loaded", function() return package.loaded.io.open(params.file):read("a") end)
try("package.searchpath", function()
  return package.searchpath("secret", params.folder .. "/?.txt")
end)
for _, name in ipairs({ "searchers", "preload", "cpath", "path", "config" }) do
  try("package." .. name, function() return package[name] end)
end
local OLD = { "package", "module", "unpack", "loadstring", "setfenv", "getfenv", "newproxy" }
for _, name in ipairs(OLD) do
  if _G[name] ~= nil then
    gains[#gains + 1] = name
  end
end
try("load", function() return load("return require or package or loadfile or dofile")() end)
try("a chunk without an environment", function()
  return load("return _ENV and (_ENV.require or _ENV.package)", "x", "t", nil)()
end)
return gains
