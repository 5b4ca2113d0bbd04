-- id = "L18"
-- title = "a list of 2^62 nothings, moved in C"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

local empty = {}
table.move(empty, 1, 1 << 62, 2)
return { "moved" }
