-- What scripts call: bridges and their streams, the library, the console.
local P = ...
local error, next, pcall, rawset, setmetatable, type =
  error, next, pcall, rawset, setmetatable, type
local byte, find, sub = string.byte, string.find, string.sub
local host = P.host
P.host = nil -- from here on it lives in this chunk's locals alone

-- Should it ever be got hold of, it can be called and nothing else: no attributes, no destructor.
local handle = debug.getmetatable(host)
for name in next, handle do
  if name ~= "__call" and name ~= "__gc" then
    handle[name] = nil
  end
end
handle.__metatable = false

local OUT_OF_MEMORY = P.out_of_memory
local CONSOLE_MAX = 65536 -- bytes handed over for one entry; the session cuts at half of it

-- First byte of what the host function answers: then follows one msgpack value.
local FAULT, END = 1, 2 -- and 0 for a plain value
local INVOKE = 3 -- no answer yet: the host calls a function of the spell

-- The one way out. `host` takes and gives strings and integers only; should Python raise all the
-- same, its exception object stops here and no spell ever holds it.
local function outward(...)
  local ok, answer = pcall(host, ...)
  if not ok then
    if answer == OUT_OF_MEMORY then
      error(OUT_OF_MEMORY, 0)
    end
    error(P.new_error({ kind = "Internal", message = "the worker failed", retryable = false }), 0)
  elseif type(answer) ~= "string" then
    error(OUT_OF_MEMORY, 0) -- the answer does not fit below the spell's limit
  end
  return answer
end

-- No Python frame lies between a spell's call and a function of it that the host calls meanwhile.
local function cross(...)
  local answer = outward(...)
  local status = byte(answer)
  while status == INVOKE do
    answer = outward(P.perform(answer))
    status = byte(answer)
  end
  if status ~= FAULT then
    return answer, status == END
  end
  local info = P.decode(answer, 2)
  local null = P.null
  local names = { "kind", "message", "retryable", "retry_after", "field", "duration" }
  local fields = {}
  for i = 1, #names do
    if info[i] ~= null then
      fields[names[i]] = info[i]
    end
  end
  error(P.new_error(fields), 0)
end
P.cross = cross

local DATA, TEXTS = {}, { texts = true }

function P.library_function(name)
  local crossing = find(name, "json.", 1, true) == 1 and DATA or TEXTS
  return function(...)
    return (P.decode((cross("library", name, P.encode_arguments(crossing, nil, ...))), 2))
  end
end

-- `for chunk in stream do`, `stream:close()`, and after the end `stream.result`.
local streams = setmetatable({}, { __mode = "k" }) -- open streams to their numbers
local makers = setmetatable({}, { __mode = "k" }) -- and to what makes their result

local function close(stream)
  local number = streams[stream]
  if number then
    streams[stream] = nil
    cross("close", number)
  end
end

local Stream = {
  __name = "stream",
  __metatable = false,
  __index = { close = close },
  __close = close,
  __gc = close,
}

P.stream_type = Stream -- which the codec refuses

function Stream.__call(stream)
  local number = streams[stream]
  if not number then
    return nil
  end
  local ok, answer, ended = pcall(cross, "next", number)
  if not ok then
    streams[stream] = nil
    error(answer, 0)
  elseif not ended then
    local chunk = P.decode(answer, 2)
    if chunk == nil then
      return P.null -- nil would end the loop
    end
    return chunk
  end
  if streams[stream] then
    streams[stream] = nil
    rawset(stream, "result", makers[stream](P.decode(answer, 2)))
  end
  return nil
end

local function opener(name, crossing, make)
  return function(number, ...)
    local answer = cross("open", name, P.encode_arguments(crossing, number, ...))
    local stream = setmetatable({}, Stream)
    streams[stream], makers[stream] = P.decode(answer, 2), make
    return stream
  end
end

local function caller(name, crossing, make)
  return function(number, ...)
    return make(P.decode((cross("call", name, P.encode_arguments(crossing, number, ...))), 2))
  end
end

local function same(value)
  return value
end

-- What makes of a method's result what the spell gets.
local function maker(gives, kinds)
  if gives == "" then
    return same
  elseif gives == "text" then
    return P.text_answer
  elseif gives == "texts" then
    return P.text_answers
  end
  local kind = kinds[gives]
  return function(number)
    return number and P.new_object(kind, number)
  end
end

-- The kinds of object that a bridge lists: `agent` of `agent.run`.
local function kinds_of(methods)
  local kinds, tables = {}, {}
  for method in next, methods do
    local dot = find(method, ".", 1, true)
    local name = dot and sub(method, 1, dot - 1)
    if name and not kinds[name] then
      tables[name] = {}
      kinds[name] = P.new_kind(name, tables[name])
    end
  end
  return kinds, tables
end

local function bind_bridge(bridge, methods)
  local t = P.env[bridge] or {}
  local kinds, tables = kinds_of(methods)
  for method, binding in next, methods do
    local name = bridge .. "." .. method
    local crossing = { functions = binding[2], objects = true, texts = true }
    local make = maker(binding[3], kinds)
    local run = (binding[1] == "stream" and opener or caller)(name, crossing, make)
    local dot = find(method, ".", 1, true)
    if dot then
      local kind = sub(method, 1, dot - 1)
      tables[kind][sub(method, dot + 1)] = P.method_of(kinds[kind], name, run)
    else
      t[method] = function(...)
        return run(nil, ...)
      end
    end
  end
  P.env[bridge] = t
end

-- The bridges that the host has granted, as it lists them.
function P.bind(manifest)
  for bridge, methods in next, manifest do
    bind_bridge(bridge, methods)
  end
  if manifest.library then
    P.bind_libraries()
  end
end

local function logger(level)
  return function(...)
    cross("log", level, sub(P.show(...), 1, CONSOLE_MAX))
  end
end

local env = P.env
env.console = {}
for _, level in next, { "debug", "info", "log", "warn", "error", "write" } do
  env.console[level] = logger(level)
end
env.print = env.console.log

for module, functions in next, P.library do
  env[module] = env[module] or {}
  if module ~= "math" then -- which is computed here, see `mathematics.lua`
    for _, name in next, functions do
      env[module][name] = P.library_function(module .. "." .. name)
    end
  end
end
env.json.null = P.null
env.json.object = P.object
