-- id = "J18"
-- title = "numbers that have no place in a message"

local gains = {}

local function refused(name, value)
  local ok, problem = pcall(json.encode, value)
  if ok or tostring(problem.kind) ~= "Conversion" then
    gains[#gains + 1] = name .. ": " .. tostring(problem)
  end
end
local function same(name, value)
  local ok, back = pcall(function() return json.decode(json.encode({ value }))[1] end)
  if not ok or back ~= value then
    gains[#gains + 1] = name .. ": " .. tostring(back)
  end
end

refused("NaN", 0 / 0)
refused("infinity", math.huge)
refused("minus infinity", { a = { -math.huge } })
refused("NaN deep down", { { { 0 / 0 } } })
same("2^53+1", (1 << 53) + 1)
same("2^63-1", math.maxinteger)
same("-2^63", math.mininteger)
same("the smallest", 5e-324)
same("the largest", 1.7976931348623157e308)
same("minus zero", -0.0)
for _, text in ipairs({ "9223372036854775808", "-9223372036854775809", "1e400", "NaN", "Infinity",
  ("9"):rep(10000) }) do
  local ok, value = pcall(json.decode, text)
  if ok and (math.type(value) == "integer" or value ~= value or value == math.huge) then
    gains[#gains + 1] = text:sub(1, 30) .. " became " .. tostring(value)
  end
end
return gains
