-- id = "L18"
-- title = "2^62 times the empty string, in C"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

return { #(""):rep(1 << 62) }
