-- id = "L17"
-- title = "balanced pairs that never balance"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.3}

local text = ("("):rep(1 << 20)
for _ = 1, 1 << 40 do
  text:find("%b()%b()%b()%b()")
  text:gsub("%b()", "")
  text:match("%f[%w].*%b()")
end
return { "came to an end" }
