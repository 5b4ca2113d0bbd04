-- id = "L18"
-- title = "a loop in a metamethod that C calls"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

local list = setmetatable({}, {
  __len = function() return math.maxinteger - 1 end,
  __index = function() return 1 end,
  __newindex = function() end,
})
table.insert(list, 1, 1)
return { "inserted" }
