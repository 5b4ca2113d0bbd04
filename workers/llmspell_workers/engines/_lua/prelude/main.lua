-- One run, from the start message to the result. Everything passes through `cross`, so that no
-- conversion happens outside of Lua's protected mode.
local P = ...
local load, next, pcall, xpcall, type = load, next, pcall, xpcall, type
local byte, find, sub = string.byte, string.find, string.sub
local randomseed = math.randomseed
local host = P.run_host
P.run_host = nil

-- A `#!` line goes, its line end stays: lines keep their numbers.
local function without_shebang(source)
  if byte(source) == 0x23 then
    return sub(source, find(source, "\n", 1, true) or #source + 1)
  end
  return source
end

local function globals_from(params, env, manifest)
  P.env.params = params
  P.env.env = P.read_only(env, "env")
  P.bind(manifest)
end

local function report(operation, raised, line, stack)
  local fields = P.fields_of(raised)
  fields[7], fields[8] = line, stack or ""
  P.cross(operation, P.encode_report(8, fields))
end

local function run()
  local start = P.decode((P.cross("start")), 2)
  local mode, name, source, params, env, manifest =
    start[1], start[2], start[3], start[4], start[5], start[6]
  P.chunk = "=" .. name
  local script, message = load(without_shebang(source), P.chunk, "t", P.env)
  if not script then
    return report("syntax", message)
  elseif mode == "validate" then
    return P.cross("result", P.encode(nil))
  end
  globals_from(params, env, manifest)
  start, source = nil, nil
  local ok, value = xpcall(script, P.describe)
  if not ok then
    if P.exhausted or type(value) ~= "table" then -- raised where no handler could run
      return report("error", P.exhausted and P.out_of_memory or value)
    end
    return report("error", value.raised, value.line, value.stack)
  end
  local converted, data = pcall(P.encode, value)
  if not converted then
    return report("unconvertible", data)
  end
  P.cross("result", data)
end

P.close_environment(_G)

function P.main()
  local ok, problem = pcall(run)
  if not ok then -- the report itself found no room, or the prelude has a bug
    host("abandoned", problem == P.out_of_memory and "" or P.message_of(problem))
  end
end

return P.main, randomseed
