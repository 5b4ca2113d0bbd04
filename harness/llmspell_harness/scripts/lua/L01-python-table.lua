-- id = "L01"
-- title = "the table through which lupa gives Python"

-- What a name leads to is used at once: to read a file of the host.
local gains = {}

local read = ("open(%q).read()"):format(params.file)
local ways = {
  ["python.eval"] = function() return python.eval(read) end,
  ["python.exec"] = function() return python.exec("stolen = " .. read) or "ran" end,
  ["python.builtins"] = function() return python.builtins.open(params.file).read() end,
  ["python.globals"] = function() return python.globals().__builtins__.open(params.file).read() end,
  ["python.import"] = function() return python.builtins.__import__("os").getcwd() end,
  ["eval"] = function() return eval(read) end,
  ["load"] = function() return load("return python.eval(...)")(read) end,
  ["_ENV"] = function() return load("return _ENV")().python.eval(read) end,
  ["a fresh environment"] = function() return load("return python", "x", "t", {}).eval(read) end,
  ["require"] = function() return require("python").eval(read) end,
  ["package.loaded"] = function() return package.loaded.python.eval(read) end,
  ["coroutine"] = function()
    return coroutine.wrap(function() return python.eval(read) end)()
  end,
}
for name, way in pairs(ways) do
  local ok, stolen = pcall(way)
  if ok and stolen ~= nil then
    gains[#gains + 1] = name .. ": " .. tostring(stolen)
  end
end
return gains
