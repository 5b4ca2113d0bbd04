-- `require`: other spells, whose text the host gives and which are run here, each once.
local P = ...
local error, load, setmetatable = error, load, setmetatable
local concat, remove = table.concat, table.remove
local cross, env = P.cross, P.env

local values = {} -- by name: a table with the value, since that may be nil
local chain = {} -- names of libraries that are being run, outermost first

local Running = {
  __close = function(running)
    for i = #chain, 1, -1 do -- not always the last: a coroutine may have been left inside one
      if chain[i] == running.name then
        remove(chain, i)
        return
      end
    end
  end,
}

local function refuse_cycle(name)
  for i = 1, #chain do
    if chain[i] == name then
      local way = concat(chain, " -> ", i) .. " -> " .. name
      local message = "require: libraries that need each other: " .. way
      error(P.new_error({ kind = "Validation", message = message, field = "name", retryable = false }), 0)
    end
  end
end

local function require(name)
  local known = values[name]
  if known then
    return known[1]
  end
  refuse_cycle(name)
  local source = P.decode((cross("call", "library.require", P.encode_arguments({}, nil, name))), 2)
  local chunk, message = load(source, "=library/" .. name .. ".lua", "t", env)
  if not chunk then
    error(message, 0)
  end
  chain[#chain + 1] = name
  local _ <close> = setmetatable({ name = name }, Running) -- also when it fails, and without touching its stack
  local value = chunk()
  values[name] = { value }
  return value
end

-- Called once the bridges are bound, where `library` is one of them.
function P.bind_libraries()
  env.library.require = require
  env.require = require
end
