-- id = "L16"
-- title = "a pattern that tries for ever, by processor time"
-- expect = ["cpu_limit"]
-- policy = {cpu = 0.3}

return { "found " .. tostring(("a"):rep(400):find((".-"):rep(20) .. "b")) }
