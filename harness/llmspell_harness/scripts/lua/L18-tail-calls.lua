-- id = "L18"
-- title = "tail calls without an end"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

local function again(n)
  return again(n + 1)
end
return again(0)
