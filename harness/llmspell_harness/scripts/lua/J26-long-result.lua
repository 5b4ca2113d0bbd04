-- id = "J26"
-- title = "a result of many megabytes"
-- expect = ["output_limit"]

return { ("x"):rep(8 << 20) }
