-- id = "L13"
-- title = "strings of gigabytes, caught"
-- expect = ["ok", "memory_limit"]
-- policy = {memory = 67108864}

-- Each must fail as out of memory, or as longer than a string can be; then all is as before.
local gains = {}

local function bomb(name, way)
  local ok, message = pcall(way)
  collectgarbage()
  if ok then
    gains[#gains + 1] = name .. " succeeded"
  elseif message ~= "not enough memory" and not tostring(message):find("too large", 1, true)
    and not tostring(message):find("too long", 1, true) then
    gains[#gains + 1] = name .. ": " .. tostring(message)
  end
end

bomb("rep", function() return #string.rep("x", 10000000000) end)
bomb("rep of 1 GB", function() return #string.rep("x", 1 << 30) end)
bomb("rep with a separator", function()
  return #("x"):rep(1000000000, ("y"):rep(1000000))
end)
bomb("rep to 2^63", function() return ("xx"):rep(1 << 62) end)
bomb("rep by a negative product", function() return ("x"):rep(math.maxinteger, "yy") end)
bomb("doubling", function()
  local s = "x"
  while true do
    s = s .. s
  end
end)
bomb("joining many", function()
  local s = ("x"):rep(1 << 20)
  while true do
    s = s .. s .. s .. s .. s .. s .. s .. s
  end
end)
bomb("pack", function() return string.pack("s4s4s4", ("x"):rep(16 << 20), ("y"):rep(16 << 20), "") end)
bomb("pack padding", function() return string.pack("c100000000", "x") end)
bomb("upper", function() return ("x"):rep(24 << 20):upper() end)
if #("x"):rep(1 << 20) ~= 1 << 20 then
  gains[#gains + 1] = "memory is not given back"
end
return gains
