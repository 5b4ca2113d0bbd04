-- id = "L23"
-- title = "an error whose text is none, not caught"
-- expect = ["script_error"]


error(setmetatable({ message = {} }, { __tostring = function() return {} end }))
