-- id = "J14"
-- title = "a value that contains itself, returned"
-- expect = ["script_error"]

local value = {}
value.self = { value }
return value
