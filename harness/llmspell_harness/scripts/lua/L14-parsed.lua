-- id = "L14"
-- title = "bombs for the parser, caught by load alone"
-- expect = ["memory_limit"]
-- policy = {memory = 50331648}

-- Most of the memory is taken once, so that each try is short.
local held = {}
for i = 1, 30 do
  held[i] = ("x"):rep(1 << 20) -- a string is made in a buffer of its size, and copied
end
local source = "return {" .. ("{},"):rep(1 << 18) .. "}"
while true do
  load(source, #held)
end
