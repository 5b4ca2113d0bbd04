-- id = "L13"
-- title = "a string of 1 GB, not caught"
-- expect = ["memory_limit"]
-- policy = {memory = 67108864}

return { "a string of " .. #string.rep("x", 1 << 30) }
