-- What scripts call: bridges and their streams, the library, the console.
local P = ...
local error, next, pcall, rawset, setmetatable, type =
  error, next, pcall, rawset, setmetatable, type
local byte, sub = string.byte, string.sub
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

-- The one way out. `host` takes and gives strings and integers only; should Python raise all the
-- same, its exception object stops here and no spell ever holds it.
local function cross(...)
  local ok, answer = pcall(host, ...)
  if not ok then
    if answer == OUT_OF_MEMORY then
      error(OUT_OF_MEMORY, 0)
    end
    error(P.new_error({ kind = "Internal", message = "the worker failed", retryable = false }), 0)
  elseif type(answer) ~= "string" then
    error(OUT_OF_MEMORY, 0) -- the answer does not fit below the spell's limit
  end
  local status = byte(answer)
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

local function bound(operation, name)
  return function(...)
    return (P.decode((cross(operation, name, P.encode_arguments(...))), 2))
  end
end

function P.library_function(name)
  return bound("library", name)
end

-- `for chunk in stream do`, `stream:close()`, and after the end `stream.result`.
local streams = setmetatable({}, { __mode = "k" }) -- open streams to their numbers

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
  streams[stream] = nil
  rawset(stream, "result", P.decode(answer, 2))
  return nil
end

local function opener(name)
  return function(...)
    local answer = cross("open", name, P.encode_arguments(...))
    local stream = setmetatable({}, Stream)
    streams[stream] = P.decode(answer, 2)
    return stream
  end
end

-- The bridges that the host has granted, as it lists them.
function P.bind(manifest)
  for bridge, methods in next, manifest do
    local t = P.env[bridge] or {}
    for method, kind in next, methods do
      local name = bridge .. "." .. method
      t[method] = kind == "stream" and opener(name) or bound("call", name)
    end
    P.env[bridge] = t
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
