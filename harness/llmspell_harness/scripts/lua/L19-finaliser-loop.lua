-- id = "L19"
-- title = "a finaliser that runs for ever, while the spell does"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

setmetatable({}, { __gc = function() while true do end end })
collectgarbage()
return { "collected" }
