-- id = "L14"
-- title = "heaps of closures, coroutines, names and weak tables, caught"
-- expect = ["ok", "memory_limit"]
-- policy = {memory = 67108864}

local gains = {}

-- Most of the memory is taken once, so that each try is short.
local held = {}
for i = 1, 45 do
  held[i] = ("x"):rep(1 << 20) -- a string is made in a buffer of its size, and copied
end

local function fills(name, grow)
  local ok, message = pcall(function()
    local heap = { held }
    for i = 1, 1 << 40 do
      heap[i] = grow(i)
    end
  end)
  collectgarbage()
  if ok or not tostring(message):find("not enough memory$") then
    gains[#gains + 1] = name .. ": " .. tostring(message)
  end
end

fills("closures", function(i) return function() return i end end)
fills("coroutines", function()
  local thread = coroutine.create(coroutine.yield)
  assert(coroutine.resume(thread, ("x"):rep(5000)))
  return thread
end)
fills("names", function(i) return "a name that is made anew " .. i end)
fills("ephemerons", function() return setmetatable({ {} }, { __mode = "k" }) end)
fills("long lists", function() return table.pack(table.unpack({}, 1, 1000)) end)
fills("chunks", function(i) return assert(load("return function() return " .. i .. " end")) end)
local deep = pcall(function()
  local chain = {}
  while true do
    chain = { chain, chain, chain }
  end
end)
collectgarbage()
if deep then
  gains[#gains + 1] = "a chain without an end"
end
return gains
