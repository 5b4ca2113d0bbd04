-- id = "J20"
-- title = "a function among the values, returned"
-- expect = ["script_error"]

return { print, coroutine.create(print) }
