-- id = "L18"
-- title = "a loop that catches whatever would end it"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

local function spin()
  while true do
    pcall(error)
    xpcall(spin, spin)
  end
end
while true do
  pcall(spin)
  coroutine.resume(coroutine.create(spin))
end
