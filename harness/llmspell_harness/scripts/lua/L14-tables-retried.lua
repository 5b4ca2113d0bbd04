-- id = "L14"
-- title = "a bomb of tables, tried again and again"
-- expect = ["memory_limit"]
-- policy = {memory = 50331648}

-- Most of the memory is taken once, so that each try is short.
local held = {}
for i = 1, 30 do
  held[i] = ("x"):rep(1 << 20) -- a string is made in a buffer of its size, and copied
end
-- Without a limit to the tries this would go on until the deadline.
while true do
  pcall(function()
    local t = {}
    for i = 1, 1 << 40 do
      t[i] = { i, held }
    end
  end)
  collectgarbage()
end
