-- id = "L18"
-- title = "a sleep until tomorrow"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

util.sleep(24 * 60 * 60 * 1000)
return { "slept" }
