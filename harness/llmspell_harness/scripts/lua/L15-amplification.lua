-- id = "L15"
-- title = "ten kilobytes that become ten gigabytes"
-- expect = ["ok", "memory_limit"]
-- policy = {memory = 67108864}

local gains = {}

local function bomb(name, way)
  local ok, message = pcall(way)
  collectgarbage()
  if ok or (message ~= "not enough memory" and not tostring(message):find("too large", 1, true)) then
    gains[#gains + 1] = name .. ": " .. tostring(message)
  end
end

local small, large = ("x"):rep(10000), ("y"):rep(1000000)
bomb("gsub", function() return #small:gsub("x", large) end)
bomb("gsub between", function() return #small:gsub("", large) end)
bomb("gsub by captures", function() return #large:gsub(".+", ("%0"):rep(10000)) end)
bomb("gsub by a table", function() return #small:gsub(".", { x = large }) end)
bomb("gsub by a function", function() return #small:gsub(".", function() return large end) end)
bomb("concat by a separator", function()
  local list = {}
  for i = 1, 10000 do
    list[i] = ""
  end
  return #table.concat(list, large)
end)
bomb("concat of one string", function()
  local list = {}
  for i = 1, 10000 do
    list[i] = large
  end
  return #table.concat(list)
end)
bomb("concat by a length that is not there", function()
  return #table.concat(setmetatable({}, { __index = function() return large end }), "", 1, 10000)
end)
bomb("format", function()
  local text = large
  while true do
    text = ("%s%s%s%s"):format(text, text, text, text)
  end
end)
bomb("code points", function()
  local codes = {}
  for i = 1, 200000 do
    codes[i] = 0x7fffffff
  end
  local text = utf8.char(table.unpack(codes))
  return #text:rep(10000)
end)
bomb("json", function()
  local value = { large, large, large }
  for _ = 1, 20 do
    value = { value, value, value, value }
  end
  return #json.encode(value)
end)
return gains
