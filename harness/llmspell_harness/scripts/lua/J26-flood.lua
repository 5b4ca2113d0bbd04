-- id = "J26"
-- title = "a billion lines on the console"
-- expect = ["output_limit"]
-- policy = {max_output = 65536}

for i = 1, 1000000000 do
  console.log("line " .. i)
end
return { "all of them" }
