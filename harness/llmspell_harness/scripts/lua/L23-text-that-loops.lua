-- id = "L23"
-- title = "an error whose text takes for ever, not caught"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

error(setmetatable({}, { __tostring = function() while true do end end }))
