-- id = "L18"
-- title = "a variable that does not let itself be closed"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

local held <close> = setmetatable({}, { __close = function() while true do end end })
error("over")
