-- id = "J14"
-- title = "ten thousand levels, returned"
-- expect = ["script_error"]

local value = {}
for _ = 1, 10000 do
  value = { value }
end
return value
