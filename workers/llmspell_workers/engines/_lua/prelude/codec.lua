-- Between Lua values and msgpack, by the rules of `_conversion.py`.
--
-- Tables are read raw, so no metamethod of a spell runs while it converts. State is kept per call,
-- because a finalizer that the collector runs in between may convert something itself.
local P = ...
local error, next, rawequal, rawget, select, setmetatable, type =
  error, next, rawequal, rawget, select, setmetatable, type
local math_type, huge = math.type, math.huge
local byte, char, find, format, gsub, pack, sub, unpack =
  string.byte, string.char, string.find, string.format, string.gsub, string.pack, string.sub,
  string.unpack
local concat, metatable_of, utf8_length = table.concat, debug.getmetatable, utf8.len

local REASONS, MAX_DEPTH, MAX_WEIGHT = P.reasons, P.max_depth, P.max_weight
local TEXT, CONTAINER = P.text_weight, P.container_weight
local KEY_SHOWN = 40 -- bytes of a key in a path

local null = setmetatable({}, {
  __name = "null",
  __metatable = false,
  __tostring = function()
    return "null"
  end,
  __newindex = function()
    error("json.null cannot be changed", 2)
  end,
})
P.null = null

-- Marks a table as a map, for when it is empty.
local Object = { __name = "map", __metatable = false }

function P.is_object(value)
  return metatable_of(value) == Object
end

-- Stand-ins that are read-only to scripts, to the tables that they stand for.
P.proxies = setmetatable({}, { __mode = "k" })

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escaped(c)
  return ESCAPES[c] or format("\\u%04x", byte(c))
end

-- Text in double quotes, as JSON writes it.
function P.quote(text)
  return '"' .. gsub(text, '[%c"\\]', escaped) .. '"'
end

local function path_of(root, trail, depth)
  local parts = { root }
  for i = 1, depth do
    local step = trail[i]
    if math_type(step) then
      parts[i + 1] = format("[%d]", step)
    elseif find(step, "^[%a_][%w_]*$") then
      parts[i + 1] = "." .. step
    else
      parts[i + 1] = format("[%s]", P.quote(sub(step, 1, KEY_SHOWN)))
    end
  end
  return concat(parts)
end

local function pack_bytes(s)
  local size = #s
  if size < 256 then
    return pack(">Bs1", 0xc4, s)
  elseif size < 65536 then
    return pack(">Bs2", 0xc5, s)
  end
  return pack(">BI4", 0xc6, size) .. s -- one copy fewer
end

local function pack_string(s)
  if not utf8_length(s) then
    return pack_bytes(s)
  end
  local size = #s
  if size < 32 then
    return char(0xa0 + size) .. s
  elseif size < 256 then
    return pack(">Bs1", 0xd9, s)
  elseif size < 65536 then
    return pack(">Bs2", 0xda, s)
  end
  return pack(">BI4", 0xdb, size) .. s
end

local function pack_integer(n)
  if n >= 0 and n < 128 then
    return char(n)
  elseif n >= -0x80000000 and n < 0x80000000 then
    return pack(">Bi4", 0xd2, n)
  end
  return pack(">Bi8", 0xd3, n)
end

local function pack_header(size, short, long)
  if size < 16 then
    return char(short + size)
  elseif size < 65536 then
    return pack(">BI2", long, size)
  end
  return pack(">BI4", long + 1, size)
end

-- What a table is, judged by its keys alone: "list" or "map" and the count, or a reason.
local function shape(t, allowance)
  local count, top, named = 0, 0, 0
  for key in next, t do
    count = count + 1
    if count > allowance then
      return "weight"
    elseif type(key) == "string" then
      named = named + 1
    elseif math_type(key) == "integer" and key > 0 then
      top = key > top and key or top
    else
      return "key", type(key)
    end
  end
  if named > 0 then
    return named == count and "map" or "mixed", count
  elseif P.is_object(t) then
    return count == 0 and "map" or "key", count == 0 and 0 or "number"
  end
  return top == count and "list" or "holes", count
end

-- `weight`: of what came before, in the same message, and 1 for the value itself. A table is charged
-- for each of its fields before one is looked at, as JavaScript and the host do. `crossing` says what
-- may cross besides data: `functions`, `objects`, and `texts` for answers as their text.
local function encoder(root, weight, crossing)
  local out, size, depth = {}, 0, 0
  local open, trail = {}, {}
  local put

  local function refuse(reason, detail)
    local path = path_of(root, trail, depth)
    local text = format(REASONS[reason], detail)
    if path ~= "$" then
      text = text .. " at " .. path
    end
    error(P.new_error({ kind = "Conversion", message = text, field = path, retryable = false }), 0)
  end

  local function emit(bytes)
    size = size + 1
    out[size] = bytes
  end

  local function add(more)
    weight = weight + more
    if weight > MAX_WEIGHT then
      refuse("weight")
    end
  end

  local function put_handle(mark, number)
    if depth == MAX_DEPTH then
      refuse("depth")
    end
    add(CONTAINER + TEXT)
    emit(pack_header(1, 0x80, 0xde))
    emit(pack_string(mark))
    emit(pack_integer(number))
  end

  local function put_function(f)
    if not crossing.functions then
      refuse("type", "function")
    end
    put_handle("@function", P.function_number(f) or refuse("functions"))
  end

  local function put_object(number)
    if not crossing.objects then
      refuse("type", "host object")
    end
    put_handle("@object", number)
  end

  local function put_map(t, count)
    emit(pack_header(count, 0x80, 0xde))
    for key, value in next, t do
      trail[depth] = key
      if not utf8_length(key) then
        refuse("text")
      end
      emit(pack_string(key))
      put(value)
    end
  end

  local function put_list(t, count)
    emit(pack_header(count, 0x90, 0xdc))
    for i = 1, count do
      trail[depth] = i - 1
      put(rawget(t, i))
    end
  end

  local function put_table(t)
    t = P.proxies[t] or t
    local number = P.object_number(t)
    if number then
      return put_object(number)
    elseif crossing.texts and P.texts[t] then
      return put(P.texts[t])
    elseif metatable_of(t) == P.stream_type then
      refuse("type", "stream")
    elseif open[t] then
      refuse("cycle")
    elseif depth == MAX_DEPTH then
      refuse("depth")
    end
    local kind, count = shape(t, MAX_WEIGHT - weight)
    if kind ~= "list" and kind ~= "map" then
      refuse(kind, count)
    end
    add(CONTAINER - 1 + (kind == "map" and (TEXT + 1) * count or count))
    open[t] = true
    depth = depth + 1
    if kind == "map" then
      put_map(t, count)
    else
      put_list(t, count)
    end
    depth = depth - 1
    open[t] = nil
  end

  local function put_number(n)
    if math_type(n) == "integer" then
      emit(pack_integer(n))
    elseif n ~= n or n == huge or n == -huge then
      refuse("finite")
    else
      emit(pack(">Bd", 0xcb, n))
    end
  end

  function put(value)
    local kind = type(value)
    if kind == "string" then
      add(TEXT - 1)
      emit(pack_string(value))
    elseif kind == "number" then
      put_number(value)
    elseif kind == "boolean" then
      emit(value and "\xc3" or "\xc2")
    elseif kind == "nil" or rawequal(value, null) then
      emit("\xc0")
    elseif kind == "table" then
      put_table(value)
    elseif kind == "function" then
      put_function(value)
    else
      refuse("type", kind)
    end
  end

  return function(value)
    put(value)
    return size == 1 and out[1] or concat(out, "", 1, size), weight
  end
end

local DATA = {} -- nothing else crosses

-- One value. Raises an error of kind Conversion that names the path.
function P.encode(value, crossing)
  return (encoder("$", 1, crossing or DATA)(value))
end

-- The arguments of a call as a list, after the number of the object whose method it is, if it is
-- one. Trailing nils are left out, except for the first argument.
function P.encode_arguments(crossing, number, ...)
  local count = select("#", ...)
  local values = { ... }
  while count > 1 and values[count] == nil do
    count = count - 1
  end
  local total = number and count + 1 or count
  local parts, weight = { pack_header(total, 0x90, 0xdc) }, CONTAINER + total
  local before = #parts
  if number then
    parts[2], before = pack_integer(number), 2
  end
  for i = 1, count do
    local put = encoder(format("argument %d", i), weight, crossing)
    parts[before + i], weight = put(values[i])
  end
  if #parts == 2 then
    return parts[1] .. parts[2]
  end
  return concat(parts)
end

-- A list for the worker's own report: its strings go as octets, valid or not.
function P.encode_report(count, fields)
  local parts = { pack_header(count, 0x90, 0xdc) }
  for i = 1, count do
    local value = fields[i]
    parts[i + 1] = type(value) == "string" and pack_bytes(value) or P.encode(value)
  end
  return concat(parts)
end

local take

local function take_list(s, at, count)
  local list = {}
  for i = 1, count do
    list[i], at = take(s, at)
  end
  return list, at
end

local function take_map(s, at, count)
  local map = {}
  for _ = 1, count do
    local key
    key, at = take(s, at)
    map[key], at = take(s, at)
  end
  if count == 0 then
    setmetatable(map, Object) -- or it would go back as an empty list
  end
  return map, at
end

local function reader(layout)
  return function(s, at)
    return unpack(layout, s, at)
  end
end

local function sized(layout, take_body)
  return function(s, at)
    local count
    count, at = unpack(layout, s, at)
    return take_body(s, at, count)
  end
end

local function constant(value)
  return function(_, at)
    return value, at
  end
end

local READERS = {
  [0xc0] = constant(null),
  [0xc2] = constant(false),
  [0xc3] = constant(true),
  [0xc4] = reader(">s1"),
  [0xc5] = reader(">s2"),
  [0xc6] = reader(">s4"),
  [0xca] = reader(">f"),
  [0xcb] = reader(">d"),
  [0xcc] = reader(">I1"),
  [0xcd] = reader(">I2"),
  [0xce] = reader(">I4"),
  [0xcf] = reader(">I8"),
  [0xd0] = reader(">i1"),
  [0xd1] = reader(">i2"),
  [0xd2] = reader(">i4"),
  [0xd3] = reader(">i8"),
  [0xd9] = reader(">s1"),
  [0xda] = reader(">s2"),
  [0xdb] = reader(">s4"),
  [0xdc] = sized(">I2", take_list),
  [0xdd] = sized(">I4", take_list),
  [0xde] = sized(">I2", take_map),
  [0xdf] = sized(">I4", take_map),
}

function take(s, at)
  local first = byte(s, at)
  if first < 0x80 then
    return first, at + 1
  elseif first < 0x90 then
    return take_map(s, at + 1, first - 0x80)
  elseif first < 0xa0 then
    return take_list(s, at + 1, first - 0x90)
  elseif first < 0xc0 then
    local stop = at + first - 0xa0
    return sub(s, at + 1, stop), stop + 1
  elseif first >= 0xe0 then
    return first - 0x100, at + 1
  end
  return READERS[first](s, at + 1)
end

-- The value that begins at byte `at`; null by itself is nil.
function P.decode(s, at)
  local value = take(s, at)
  if rawequal(value, null) then
    return nil
  end
  return value
end

-- `json.object`: the same table, marked, or a new one.
function P.object(t)
  if t == nil then
    t = {}
  end
  if type(t) == "table" and metatable_of(t) == Object then
    return t
  end
  return setmetatable(t, Object)
end
