-- id = "L25"
-- title = "published crashes of Lua's core, by way of its collector"
-- policy = {memory = 134217728, timeout = 5.0}

-- Redis CVE-2025-49844 (the parser's chunk name is collected), CVE-2024-46981 (objects that come
-- back while a state is closed), Lua CVE-2021-44964, 2021-45985, 2022-28805, 2022-33099, 2020-24370.
-- No flaw of this Lua is known; the next one is assumed, and meets the walls of the system.
local gains = {}

local function churn()
  local junk = {}
  for i = 1, 20 do
    junk[i] = ("junk" .. i):rep(20)
  end
  collectgarbage("step")
  return junk
end

-- A collection in the middle of the parser, with nobody holding the name or the text.
for size = 1, 6 do
  local turn = 0
  local chunk = load(function()
    turn = turn + 1
    collectgarbage()
    churn()
    return turn < 20 and ("local v" .. turn .. " = 'a constant " .. turn .. "' ") or nil
  end, "=" .. ("name"):rep(size * 10) .. size)
  collectgarbage()
  churn()
  local ok, message = pcall(assert, chunk and not chunk())
  if not ok then
    gains[#gains + 1] = "a chunk became " .. tostring(message)
  end
  local _, error_text = load("x = = 1", "=" .. ("name"):rep(10) .. size)
  collectgarbage()
  if not tostring(error_text):find("name", 1, true) then
    gains[#gains + 1] = "a chunk's name became " .. tostring(error_text):sub(1, 100)
  end
end

-- Finalisers that collect, resurrect, yield, and drop what is being closed.
local kept, over = {}, false
local function revive(object)
  kept[#kept % 100 + 1] = object
  churn()
  collectgarbage()
  pcall(coroutine.wrap(function() coroutine.yield(churn()) end))
  if not over then
    setmetatable(object, getmetatable(object))
  end
end
for i = 1, 60 do
  local chain = setmetatable({ i, kept }, { __gc = revive, __close = revive, __mode = "kv" })
  local thread = coroutine.create(function(...)
    local held <close> = chain
    local other <close> = setmetatable({}, { __close = churn, __gc = revive })
    return coroutine.yield(...)
  end)
  coroutine.resume(thread, chain)
  chain = nil
  if i % 3 == 0 then
    coroutine.close(thread)
  elseif i % 3 == 1 then
    coroutine.resume(thread)
  end
  if i % 20 == 0 then
    collectgarbage()
  end
end

over, kept = true, {}
collectgarbage()

-- _ENV as a constant, upvalues of loops that end early, errors about their own messages.
local texts = {
  "local _ENV <const> = nil; return x",
  "local _ENV <const> = 1; x = 1; return function() return x end",
  "local function f() local _ENV <const> = {}; return function() return a.b.c end end return f()()",
  "for i = 1, 3 do local x <close> = nil; goto out end ::out::",
  "local a <close> = nil; local b <const> = 5; return (function() return b end)()",
  "goto l1; do ::l1:: end",
  "return function(...) local a <close> = nil return ... end, ...",
  "local t = {f = 1, f()} return t",
}
for _, text in ipairs(texts) do
  local chunk = load(text)
  if chunk then
    pcall(chunk)
    collectgarbage()
    xpcall(chunk, function(message)
      churn()
      return tostring(message) .. debug.traceback(message)
    end)
  end
end
local function recurse(n)
  local text = ("%d"):format(n):rep(50)
  return xpcall(recurse, function() return text .. error(text) end, n + 1)
end
recurse(1)

-- Tables that change under the hands of those that walk them.
local moving = {}
for i = 1, 60 do
  moving[i] = i
  moving["k" .. i] = i
end
local moves = 0
pcall(function()
  for key in next, moving do
    moves = moves + 1
    assert(moves < 500)
    moving[key] = nil
    moving[{}] = key
    collectgarbage("step")
  end
end)
pcall(table.sort, moving, function()
  moving[#moving + 1] = 1
  collectgarbage("step")
  return math.random() < 0.5
end)
pcall(string.gsub, ("x"):rep(100), "x", function()
  collectgarbage()
  return churn()[1]
end)
pcall(table.concat, setmetatable({}, { __index = function() return churn()[1] end }), ",", 1, 50)
if #(("x"):rep(1000)) ~= 1000 or json.encode({ 1, "a" }) ~= '[1,"a"]' then
  gains[#gains + 1] = "memory was damaged"
end
return gains
