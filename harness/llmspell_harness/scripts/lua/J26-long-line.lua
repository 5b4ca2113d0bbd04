-- id = "J26"
-- title = "lines of many megabytes"
-- expect = ["output_limit"]
-- policy = {max_output = 65536}

local line = ("x"):rep(32 << 20)
for _ = 1, 1000 do
  console.error(line)
end
return { "all of them" }
