-- id = "L19"
-- title = "a finaliser that would run for ever when the state is closed"
-- policy = {timeout = 2.0}

-- The state is never closed: the result is here at once, and nothing runs after it.
local function endless()
  while true do
    console.log("after the end")
  end
end
KEPT = setmetatable({}, { __gc = endless, __close = endless })
THREAD = coroutine.create(function()
  local held <close> = KEPT
  coroutine.yield()
end)
coroutine.resume(THREAD)
return {}
