-- Put before a spell that is recorded or replayed: the same chances, the same clock, the same order
-- of keys each time. The clock begins when the recording did, and goes on by a millisecond
-- whenever it is read, and by what the spell sleeps.
local native_next, native_pairs, native_tostring = next, pairs, tostring
local native_date, native_time, native_seed, native_sleep = os.date, os.time, math.randomseed, util.sleep
local rawget, select, setmetatable, type = rawget, select, setmetatable, type
local sort, format = table.sort, string.format
local MAX_SLEEP = 24 * 60 * 60 * 1000

local function clocks(setup)
  local now, start = setup.clock, setup.clock
  local function tick()
    now = now + 1
    return now
  end
  os.time = function(t)
    return t == nil and tick() // 1000 or native_time(t)
  end
  os.date = function(layout, time)
    return native_date(layout, time == nil and tick() // 1000 or time)
  end
  os.clock = function()
    return (tick() - start) / 1000
  end
  util.time = function()
    return tick() / 1000
  end
  util.sleep = function(...)
    local delay = ...
    local fits = select("#", ...) == 1 and type(delay) == "number" and delay >= 0 and delay <= MAX_SLEEP
    if not fits then
      return native_sleep(...) -- which refuses it
    end
    native_sleep(delay / setup.speed)
    now = now + math.floor(delay)
  end
end

local function chances(seed)
  native_seed(seed[1] << 32 | seed[2], seed[3] << 32 | seed[4])
  math.randomseed = function(...)
    if select("#", ...) > 0 then
      return native_seed(...)
    end
    return native_seed(seed[4] << 32 | seed[3], seed[2] << 32 | seed[1])
  end
  local state = (seed[1] << 32 | seed[2]) ~ (seed[3] << 32 | seed[4]) * 0x9e3779b97f4a7c15
  local function draw() -- splitmix64, apart from what the spell draws
    state = state + 0x9e3779b97f4a7c15
    local z = (state ~ (state >> 30)) * 0xbf58476d1ce4e5b9
    z = (z ~ (z >> 27)) * 0x94d049bb133111eb
    return z ~ (z >> 31)
  end
  util.uuid = function()
    local a, b = draw(), draw()
    return format("%08x-%04x-4%03x-%04x-%012x", a >> 32, a >> 16 & 0xffff, a & 0xfff,
      b >> 48 & 0x3fff | 0x8000, b & 0xffffffffffff)
  end
end

local RANK = { number = 1, string = 2, boolean = 3 }

local function before(a, b)
  local x, y = RANK[type(a)], RANK[type(b)]
  if x ~= y then
    return x < y
  elseif x == 3 then
    return a == false and b == true
  end
  return a < b
end

-- Keys by number, then by text; what has no order of its own comes last, as it is met.
local function keys_of(t)
  local keys, others, count = {}, {}, 0
  for key in native_next, t do
    if RANK[type(key)] then
      count = count + 1
      keys[count] = key
    else
      others[#others + 1] = key
    end
  end
  sort(keys, before)
  for i = 1, #others do
    keys[count + i] = others[i]
  end
  return keys
end

local function orders()
  local known = setmetatable({}, { __mode = "k" })
  local function after(t, keys, i)
    for at = i + 1, #keys do
      local value = rawget(t, keys[at])
      if value ~= nil then
        return keys[at], value, at
      end
    end
    return nil
  end
  next = function(t, key)
    if type(t) ~= "table" then
      return native_next(t, key)
    elseif key == nil then
      local keys = keys_of(t)
      local places = {}
      for i = 1, #keys do
        places[keys[i]] = i
      end
      known[t] = { keys, places }
      local found, value = after(t, keys, 0)
      return found, value
    end
    local there = known[t]
    local place = there and there[2][key]
    if place == nil then
      return native_next(t, key)
    end
    local found, value = after(t, there[1], place)
    return found, value
  end
  pairs = function(t)
    local step, state, first = native_pairs(t)
    if step ~= native_next then
      return step, state, first
    end
    local keys, at = keys_of(t), 0
    return function()
      local key, value
      key, value, at = after(t, keys, at or #keys)
      return key, value
    end, t, nil
  end
  local names, count = setmetatable({}, { __mode = "k" }), 0
  tostring = function(...)
    local value = ...
    local text = native_tostring(...)
    local kind = type(value)
    if (kind ~= "table" and kind ~= "function" and kind ~= "thread")
      or not text:find("^[%a_][%w_]*: 0x%x+$") then
      return text
    end
    if names[value] == nil then
      count = count + 1
      names[value] = count
    end
    return format("%s: 0x%08x", text:match("^[%a_][%w_]*"), names[value])
  end
end

return function(setup, file)
  setup = json.decode(setup)
  clocks(setup)
  chances(setup.seed)
  orders()
  local value = file()
  return value
end
