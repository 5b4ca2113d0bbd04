-- id = "L16"
-- title = "a pattern that tries for ever"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.3}

-- In C, where no hook of Lua's is ever asked.
return { "found " .. tostring(("a"):rep(400):find((".-"):rep(20) .. "b")) }
