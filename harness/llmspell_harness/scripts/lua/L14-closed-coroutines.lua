-- id = "L14"
-- title = "bombs caught by coroutine.close alone"
-- expect = ["memory_limit"]
-- policy = {memory = 50331648}

while true do
  local thread = coroutine.create(function()
    local held <close> = setmetatable({}, { __close = function() return ("x"):rep(1 << 30) end })
    coroutine.yield()
  end)
  coroutine.resume(thread)
  coroutine.close(thread)
end
