-- id = "L14"
-- title = "bombs in finalisers, and objects that come back from the dead"
-- expect = ["memory_limit", "wall_limit"]
-- policy = {memory = 50331648, timeout = 0.4}

-- Errors in finalisers are caught by Lua itself; the deadline is what ends those that never stop.
local kept = {}
local meta = {}
function meta.__gc(object)
  kept[#kept + 1] = setmetatable({ object, ("x"):rep(1 << 16) }, meta)
  local _ = ("x"):rep(1 << 30)
end
while true do
  setmetatable({}, meta)
end
