-- id = "L18"
-- title = "a loop"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

while true do end
