-- id = "L23"
-- title = "an error whose text is an error, not caught"
-- expect = ["script_error"]


local hostile = setmetatable({}, {})
getmetatable(hostile).__tostring = function(e) error(e, 0) end
getmetatable(hostile).__name = setmetatable({}, { __tostring = error })
getmetatable(hostile).__index = function(e) error(e, 0) end
error(hostile, 0)
