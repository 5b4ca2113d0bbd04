-- The globals of a spell: an allow-list, copied out of Lua's own, which then go.
local P = ...
local error, getmetatable, next, pairs, select, setmetatable, tostring, type =
  error, getmetatable, next, pairs, select, setmetatable, tostring, type
local pcall, xpcall, load = pcall, xpcall, load
local close, resume = coroutine.close, coroutine.resume
local collect, find, tointeger = collectgarbage, string.find, math.tointeger
local clock, date, difftime, now, floor = os.clock, os.date, os.difftime, os.time, math.floor
local concat, metatable_of, registry = table.concat, debug.getmetatable, debug.getregistry

local OUT_OF_MEMORY = P.out_of_memory

-- How often a spell may run into its memory limit and go on: a bomb in a loop of `pcall` must end.
local MEMORY_TRIPS = 16

local function copy(from, ...)
  local to = {}
  for name, value in next, from do
    to[name] = value
  end
  for i = 1, select("#", ...) do
    to[select(i, ...)] = nil
  end
  return to
end

local env = {
  _VERSION = _VERSION,
  assert = assert,
  error = error,
  getmetatable = getmetatable,
  ipairs = ipairs,
  next = next,
  pairs = pairs,
  rawequal = rawequal,
  rawget = rawget,
  rawlen = rawlen,
  rawset = rawset,
  select = select,
  setmetatable = setmetatable,
  tonumber = tonumber,
  tostring = tostring,
  type = type,
  coroutine = copy(coroutine),
  math = copy(math),
  string = copy(string, "dump"), -- bytecode can break the interpreter
  table = copy(table),
  utf8 = copy(utf8),
}
env._G = env
P.env = env

local trips = 0

local function watched(ok, ...)
  if not ok and (...) == OUT_OF_MEMORY then -- `load` says nil, all others false
    trips = trips + 1
  end
  if trips >= MEMORY_TRIPS then
    P.exhausted = true
    error(OUT_OF_MEMORY, 0) -- through every `pcall` that is still open
  end
  return ok, ...
end

P.watched = watched

function env.pcall(...)
  return watched(pcall(...))
end

function env.xpcall(...)
  return watched(xpcall(...))
end

function env.coroutine.resume(...)
  return watched(resume(...))
end

function env.coroutine.close(...)
  return watched(close(...))
end

-- `pcall`, because a parser that runs out of stack asks the message handler of whoever calls `load`,
-- which at a spell's top level is the prelude's.
local function compiled(ok, ...)
  if ok then
    return watched(...)
  end
  error((...), (...) == OUT_OF_MEMORY and 0 or 2)
end

-- Text only, and by default in the spell's own globals.
function env.load(chunk, name, mode, ...)
  if type(chunk) == "function" then
    local pieces, count = {}, 0
    local piece = chunk()
    while type(piece) == "string" and piece ~= "" do
      count = count + 1
      pieces[count] = piece
      piece = chunk()
    end
    if piece ~= nil and type(piece) ~= "string" then
      return nil, "reader function must return a string"
    end
    chunk, name = concat(pieces), name or "=(load)"
  end
  if mode ~= nil and not find(mode, "t", 1, true) then
    return nil, "attempt to load a text chunk (mode is '" .. mode .. "')"
  end
  if select("#", ...) > 0 then
    return compiled(pcall(load, chunk, name, "t", (...)))
  end
  return compiled(pcall(load, chunk, name, "t", env))
end

local COLLECT = { collect = true, count = true, step = true }

function env.collectgarbage(option, argument)
  option = option or "collect"
  if not COLLECT[option] then
    error("collectgarbage: only 'collect', 'count' and 'step' are offered", 2)
  end
  return collect(option, argument)
end

-- Days from 1970 to the first of a month, which may lie outside 1 to 12 (proleptic Gregorian).
local function days_before(year, month)
  year = year + (month - 3) // 12
  month = (month - 3) % 12 -- from March, so that the leap day ends the year
  local leap_days = year // 4 - year // 100 + year // 400
  return year * 365 + leap_days + (month * 153 + 2) // 5 - 719468
end

local function date_field(t, name, default)
  local value = t[name]
  if value == nil and default then
    return default
  end
  local number = tointeger(value)
  if not number then
    error("field '" .. name .. "' is missing or not an integer in date table", 3)
  elseif number > 0x7fffffff or number < -0x80000000 then
    error("field '" .. name .. "' is out of bounds", 3)
  end
  return number
end

-- A spell lives in UTC, in every language: the worker has no time zone files.
local function utc(t)
  if t == nil then
    return now()
  elseif type(t) ~= "table" then
    error("bad argument #1 to 'time' (table expected)", 2)
  end
  local days = days_before(date_field(t, "year"), date_field(t, "month")) + date_field(t, "day") - 1
  local seconds = date_field(t, "hour", 12) * 3600 + date_field(t, "min", 0) * 60
  local result = days * 86400 + seconds + date_field(t, "sec", 0)
  for name, value in next, date("!*t", result) do
    t[name] = value
  end
  return result
end

env.os = {
  clock = function()
    return floor(clock() * 1000) / 1000 -- no finer: a timer is what side channels need
  end,
  date = function(layout, time)
    layout = layout == nil and "%c" or layout
    if type(layout) ~= "string" then
      error("bad argument #1 to 'date' (string expected)", 2)
    elseif find(layout, "^!") == nil then
      layout = "!" .. layout
    end
    return date(layout, time == nil and now() or time)
  end,
  difftime = difftime,
  time = utc,
}

env.debug = { traceback = P.traceback }

-- Methods of strings are the spell's own `string`; their metatable is out of its reach.
local strings = metatable_of("")
strings.__index = env.string
strings.__metatable = false

-- A table of the spell's data that reads as usual and cannot be written.
function P.read_only(data, what)
  local proxy = setmetatable({}, {
    __index = data,
    __newindex = function()
      error(what .. " is read-only", 2)
    end,
    __pairs = function()
      return function(_, key)
        return next(data, key)
      end
    end,
    __metatable = false,
  })
  P.proxies[proxy] = data
  return proxy
end

-- Nothing that is not on the list stays behind, wherever a hole might lead.
function P.close_environment(globals)
  for _, name in next, { "package", "io", "os", "debug", "python" } do
    globals[name] = nil
  end
  local loaded = registry()._LOADED
  for name in next, loaded do
    loaded[name] = nil
  end
  for name in next, globals do
    globals[name] = nil
  end
end
