-- id = "J07"
-- title = "a list whose second item is the last possible, returned"
-- expect = ["script_error"]

return { [1] = 1, [math.maxinteger] = 1 }
