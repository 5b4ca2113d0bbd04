-- id = "L17"
-- title = "a pattern of optional items"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.3}

local count = 40
return { "found " .. tostring(("a"):rep(count):find(("a?"):rep(count) .. ("a"):rep(count) .. "b")) }
