-- id = "L20"
-- title = "stacks of every kind, to their ends"

local gains = {}

-- Each must end as an error of Lua's, caught like any other; a crash is seen by the host.
local function deep(name, way)
  local ok, message = pcall(way)
  message = tostring(message)
  if ok or not (message:find("overflow", 1, true) or message:find("error in error handling", 1, true)
    or message:find("too ", 1, true) or message:find("cannot", 1, true)
    or message:find("dead coroutine", 1, true) or message == "not enough memory") then
    gains[#gains + 1] = name .. ": " .. message:sub(1, 200)
  end
end

deep("calls", function()
  local function f() return 1 + f() end
  return f()
end)
deep("coroutines in coroutines", function()
  local function f() return coroutine.wrap(f)() end
  return f()
end)
deep("resumed threads", function()
  local function f()
    local ok, message = coroutine.resume(coroutine.create(f))
    return ok or error(message, 0)
  end
  return f()
end)
deep("a coroutine in itself", function()
  local again
  again = coroutine.wrap(function() return again() end)
  return again()
end)
deep("pcall in pcall", function()
  local function f() return select(2, assert(pcall(f))) end
  return f()
end)
deep("xpcall whose handler fails", function()
  local function f(e) error(e) end
  local ok, message = xpcall(error, f)
  return ok or error(message, 0)
end)
deep("gsub", function()
  local function f() return (("x"):gsub("x", f)) end
  return f()
end)
deep("sort", function()
  local function f() return table.sort({ 1, 2, 3 }, f) end
  return f()
end)
deep("load", function()
  local function f() return load(f) end
  return f()
end)
deep("tostring", function()
  local t = setmetatable({}, {})
  getmetatable(t).__tostring = function() return tostring(t) end
  return tostring(t)
end)
deep("format", function()
  local t = setmetatable({}, {})
  getmetatable(t).__tostring = function() return ("%s"):format(t) end
  return ("%s"):format(t)
end)
deep("a chain of __index", function()
  local t = {}
  for _ = 1, 100000 do
    t = setmetatable({}, { __index = t })
  end
  return t.missing
end)
for _, event in ipairs({ "__index", "__newindex", "__call", "__concat", "__len", "__unm", "__eq",
  "__lt", "__le", "__add", "__close", "__pairs" }) do
  deep(event, function()
    local meta = {}
    local function new() return setmetatable({}, meta) end
    meta[event] = function(t)
      if event == "__index" then return t.x
      elseif event == "__newindex" then t.x = 1
      elseif event == "__call" then return 1 + t()
      elseif event == "__concat" then return t .. t
      elseif event == "__len" then return 1 + #t
      elseif event == "__unm" then return 1 + -t
      elseif event == "__eq" then return not (new() == new())
      elseif event == "__lt" then return not (new() < new())
      elseif event == "__le" then return not (new() <= new())
      elseif event == "__add" then return 1 + (t + t)
      elseif event == "__pairs" then return pairs(t)
      end
      do
        local again <close> = new()
      end
      return error("stack overflow by way of a variable that is closed")
    end
    return meta[event](new())
  end)
end
deep("a coroutine that closes itself", function()
  local thread
  thread = coroutine.create(function()
    local held <close> = setmetatable({}, { __close = function() coroutine.close(thread) end })
  end)
  local ok, message = coroutine.resume(thread)
  return ok or error(message, 0)
end)
deep("a coroutine closed while it closes", function()
  local thread
  thread = coroutine.create(function()
    local held <close> = setmetatable({}, { __close = function()
      return coroutine.wrap(function() return coroutine.close(thread) end)()
    end })
    coroutine.yield()
  end)
  coroutine.resume(thread)
  local ok, message = coroutine.close(thread)
  return ok or error(message, 0)
end)

deep("host calls in nested coroutines", function()
  local function f(n)
    local text = json.encode({ n, { n } })
    return coroutine.wrap(function() return f(n + #text) end)()
  end
  return f(1)
end)

-- The host, called from the last free slots of a stack.
local deepest = 0
local function measure(n)
  deepest = n
  return 1 + measure(n + 1)
end
local function to_the_end(n)
  if n > deepest - 20 then
    local ok, text = pcall(json.encode, { n })
    if ok and text ~= "[" .. n .. "]" then
      gains[#gains + 1] = "json.encode gave " .. tostring(text)
    end
  end
  return 1 + to_the_end(n + 1)
end
pcall(measure, 1)
deep("host calls in a full stack", function() return to_the_end(1) end)
if json.encode({ 1 }) ~= "[1]" then
  gains[#gains + 1] = "host calls no longer work"
end
return gains
