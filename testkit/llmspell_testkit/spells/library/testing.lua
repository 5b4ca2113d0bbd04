-- What a test of a spell finds beside what every spell has: put before the text of a *.test.lua,
-- and given that text as a function. An ordinary script, like the test: it is trusted with nothing.
local kit = testkit
local concat = table.concat

-- --- declarations ------------------------------------------------------------------------------

local tests, groups = {}, {}
local hooks = {} -- of the groups that are open: each { before = {}, after = {} }
local current -- the name of the test that runs
local about -- the spell that the file is about
local snapshots = 0

local function place()
  return debug.traceback()
end

local function check(what, value, kind)
  if type(value) ~= kind then
    error(what .. " is due: a " .. kind .. ", not a " .. type(value), 3)
  end
end

local function full_name(name)
  local parts = {}
  for i = 1, #groups do
    parts[i] = groups[i]
  end
  parts[#parts + 1] = name
  return concat(parts, " > ")
end

local function add(name, body, skipped)
  local around = {}
  for i = 1, #hooks do
    around[i] = hooks[i]
  end
  tests[#tests + 1] =
    { name = full_name(name), body = body, skipped = skipped, place = place(), around = around }
end

function test(name, body)
  check("test(name, function): the name", name, "string")
  check("test(name, function): the function", body, "function")
  add(name, body, false)
end

function skip(name, _)
  check("skip(name, function): the name", name, "string")
  add(name, nil, true)
end

function describe(name, body)
  check("describe(name, function): the name", name, "string")
  check("describe(name, function): the function", body, "function")
  groups[#groups + 1] = name
  hooks[#hooks + 1] = { before = {}, after = {} }
  body()
  groups[#groups] = nil
  hooks[#hooks] = nil
end

local function hook(kind, name)
  return function(body)
    check(name .. "(function): the function", body, "function")
    local list = hooks[#hooks][kind]
    list[#list + 1] = body
  end
end

before_each = hook("before", "before_each")
after_each = hook("after", "after_each")

function spell(path)
  check("spell(path): the path", path, "string")
  about = path
end

-- --- the spell under test ----------------------------------------------------------------------

local answers, fakes = {}, {}

model = {}

-- What the model answers to the next questions: texts, or tables such as { tool = "name",
-- arguments = {} } and { status = 429, message = "slow down" }.
function model.script(...)
  for _, answer in ipairs({ ... }) do
    answers[#answers + 1] = answer
  end
end

-- What models have been sent in this test, oldest first.
function model.requests()
  return kit.requests()
end

-- Answers calls of a method in the bridge's place: with each value in turn, the last one again.
function fake(method, ...)
  check("fake(method, values): the method", method, "string")
  fakes[method] = { ... }
end

-- For `fake`: the call fails.
function fault(kind, message)
  return { ["@fault"] = { kind = kind, message = message or "" } }
end

function run_spell(options)
  local request = {}
  for key, value in pairs(options or {}) do
    request[key] = value
  end
  request.spell = request.spell or about
  request.answers, request.fakes = answers, json.object()
  for method, values in pairs(fakes) do
    request.fakes[method] = values
  end
  answers = {}
  return kit.run_spell(request)
end

-- --- expectations ------------------------------------------------------------------------------

local function shown(value)
  local ok = pcall(json.encode, value)
  if ok then
    return value
  end
  return tostring(value)
end

local SHOWN = 80 -- bytes of a value in a message; a comparison shows all of it

local function cut(text)
  if #text <= SHOWN then
    return text
  end
  return (text:sub(1, SHOWN):gsub("[\xC2-\xF4]?[\x80-\xBF]*$", "")) .. "..." -- whole characters
end

local function brief(value)
  local is_text = type(value) == "string"
  local ok, text = pcall(json.encode, is_text and cut(value) or value)
  if not ok then
    return is_text and "(" .. #value .. " bytes)" or tostring(value)
  end
  return is_text and text or cut(text)
end

local function is_nothing(value)
  return value == nil or value == json.null
end

local function equal(a, b, seen)
  if a == b or (is_nothing(a) and is_nothing(b)) then
    return true
  elseif type(a) ~= "table" or type(b) ~= "table" then
    return false
  elseif seen[a] == b then
    return true
  end
  seen[a] = b
  for key, value in pairs(a) do
    if not equal(value, b[key], seen) then
      return false
    end
  end
  for key, value in pairs(b) do
    if a[key] == nil and not is_nothing(value) then
      return false
    end
  end
  return true
end

local function has(container, item)
  if type(container) == "string" then
    return type(item) == "string" and container:find(item, 1, true) ~= nil
  elseif type(container) == "table" then
    for _, value in pairs(container) do
      if equal(value, item, {}) then
        return true
      end
    end
  end
  return false
end

local function length(value)
  local kind = type(value)
  return (kind == "string" or kind == "table") and #value or nil
end

-- Each gives whether it holds, and what was due in words; the third says to show both values.
local matchers = {
  to_be = function(a, b)
    return rawequal(a, b) or (is_nothing(a) and is_nothing(b)), "to be " .. brief(b), true
  end,
  to_equal = function(a, b)
    return equal(a, b, {}), "to equal " .. brief(b), true
  end,
  to_contain = function(a, b)
    return has(a, b), "to contain " .. brief(b)
  end,
  to_match = function(a, pattern)
    return type(a) == "string" and a:find(pattern) ~= nil, "to match the pattern " .. brief(pattern)
  end,
  to_be_nil = function(a)
    return is_nothing(a), "to be nil"
  end,
  to_be_truthy = function(a)
    return not is_nothing(a) and a ~= false, "to be truthy"
  end,
  to_be_falsy = function(a)
    return is_nothing(a) or a == false, "to be falsy"
  end,
  to_be_greater_than = function(a, b)
    return a > b, "to be greater than " .. brief(b)
  end,
  to_be_less_than = function(a, b)
    return a < b, "to be less than " .. brief(b)
  end,
  to_be_close_to = function(a, b, within)
    within = within or 0.005
    return math.abs(a - b) <= within, "to be within " .. brief(within) .. " of " .. brief(b)
  end,
  to_have_length = function(a, b)
    return length(a) == b, "to have length " .. brief(b) .. " (it has " .. brief(length(a)) .. ")"
  end,
}

function matchers.to_raise(f, part)
  if type(f) ~= "function" then
    return false, "to be a function that raises an error"
  end
  local ok, raised = pcall(f)
  if ok then
    return false, "to raise an error"
  elseif part == nil then
    return true, "to raise an error (it raised " .. brief(tostring(raised)) .. ")"
  end
  local held = tostring(raised):find(part, 1, true) ~= nil
  return held, "to raise an error with " .. brief(part) .. " (it raised " .. brief(tostring(raised)) .. ")"
end

local function refuse(message, details)
  details.message = message
  kit.failed(details)
  error(message, 0)
end

local function message_for(value, never, due)
  return "expected " .. brief(value) .. (never and " not " or " ") .. due
end

local function expectation(value, never)
  local made = {}
  local function checked(first)
    if first == made then
      error("write it with a dot: expect(x).to_be(y)", 3)
    end
  end
  for name, matcher in pairs(matchers) do
    made[name] = function(...)
      checked((...))
      local held, due, compared = matcher(value, ...)
      if held == (never or false) then
        local details = {}
        if compared and not never then
          details.compared = true
          details.expected, details.actual = shown((...)), shown(value)
        end
        refuse(message_for(type(value) == "function" and "the function" or value, never, due), details)
      end
    end
  end
  function made.to_match_snapshot(name)
    checked(name)
    snapshots = snapshots + 1
    local key = current .. " " .. (name or tostring(snapshots))
    local found = kit.snapshot(key, shown(value))
    if not found.held then
      local details = found.missing and {}
        or { compared = true, expected = found.expected, actual = shown(value) }
      refuse(found.message, details)
    end
  end
  return made
end

function expect(value)
  local made = expectation(value, false)
  made.never = expectation(value, true)
  return made
end

-- --- the run -----------------------------------------------------------------------------------

local function collected()
  local list = {}
  for i, each in ipairs(tests) do
    list[i] = { name = each.name, skipped = each.skipped, place = each.place }
  end
  kit.collected(list)
end

local function perform(chosen)
  current = chosen.name
  -- Closed when the test is over, also when it fails; the stack of its error still stands then.
  local _ <close> = setmetatable({}, {
    __close = function()
      for i = #chosen.around, 1, -1 do
        for _, body in ipairs(chosen.around[i].after) do
          body()
        end
      end
    end,
  })
  for _, level in ipairs(chosen.around) do
    for _, body in ipairs(level.before) do
      body()
    end
  end
  chosen.body()
end

return function(setup, file)
  setup = json.decode(setup)
  hooks[1] = { before = {}, after = {} }
  file()
  if setup.mode == "collect" then
    return collected()
  end
  local chosen = tests[setup.index]
  if chosen == nil or chosen.name ~= setup.name then
    error("the file declares other tests than when they were collected: " .. setup.name, 0)
  end
  perform(chosen)
end
