-- id = "J10"
-- title = "coroutines that wake each other for ever"
-- expect = ["wall_limit"]
-- policy = {timeout = 0.25}

local threads = {}
local function wake()
  while true do
    threads[#threads % 100 + 1] = coroutine.create(wake)
    coroutine.yield()
  end
end
threads[1] = coroutine.create(wake)
while true do
  for i = #threads, 1, -1 do
    coroutine.resume(threads[i])
  end
end
