-- id = "L14"
-- title = "bombs caught by everything that catches"
-- expect = ["memory_limit"]
-- policy = {memory = 50331648}

local function bomb()
  return ("x"):rep(1 << 30)
end

local catchers = {
  function() return pcall(bomb) end,
  function() return xpcall(bomb, function(e) return e end) end,
  function() return coroutine.resume(coroutine.create(bomb)) end,
  function()
    local thread = coroutine.create(function()
      local held <close> = setmetatable({}, { __close = bomb })
      coroutine.yield()
    end)
    coroutine.resume(thread)
    return coroutine.close(thread)
  end,
  function() return load(bomb) end,
  function() return pcall(pcall, pcall, bomb) end,
  function() return pcall(coroutine.wrap(bomb)) end,
  function() return pcall(table.sort, { 2, 1 }, bomb) end,
  function() return pcall(string.gsub, "x", "x", bomb) end,
  function() return pcall(error, "not enough memory", 0) end,
}
local turn = 0
while true do
  turn = turn % #catchers + 1
  catchers[turn]()
end
