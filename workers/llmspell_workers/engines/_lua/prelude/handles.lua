-- What is more than data: functions of the spell that the host may call, objects of the host, and
-- answers that work as text.
local P = ...
local error, next, pcall, rawequal, rawget, select, setmetatable, type =
  error, next, pcall, rawequal, rawget, select, setmetatable, type
local create, resume, status, close =
  coroutine.create, coroutine.resume, coroutine.status, coroutine.close
local format, unpack = string.format, string.unpack
local metatable_of, spread = debug.getmetatable, table.unpack
local strings = P.env.string -- the spell's own, as for every string

local MAX_FUNCTIONS, MAX_NESTING = P.max_functions, P.max_nesting
local OUT_OF_MEMORY = P.out_of_memory
local CROSSING = { objects = true, texts = true } -- what a function may return to the host

local function problem(kind, message)
  return P.new_error({ kind = kind, message = message, retryable = false })
end

-- --- functions -----------------------------------------------------------------------------------

local functions, numbers, handed = {}, {}, 0 -- kept for the rest of the run

-- The number of a function, always the same one; nil when there are too many.
function P.function_number(f)
  local number = numbers[f]
  if not number and handed < MAX_FUNCTIONS then
    number = handed + 1
    functions[number] = f
    numbers[f] = number
    handed = number
  end
  return number
end

local function call(f, answer, at)
  local arguments = P.decode(answer, at)
  local count = #arguments
  for i = 1, count do
    if rawequal(arguments[i], P.null) then
      arguments[i] = nil
    end
  end
  return P.encode((f(spread(arguments, 1, count))), CROSSING)
end

local function report(raised, line)
  local fields = P.fields_of(raised)
  fields[7], fields[8] = line, ""
  return "refuse", P.encode_report(8, fields)
end

local depth = 0

-- A coroutine for each: what a function raises is seen where it was raised, and what it yields goes
-- to nobody else.
local function outcome(number, answer, at)
  local f = functions[number]
  if not f then
    return report(problem("Internal", P.unknown_function))
  elseif depth >= MAX_NESTING then
    return report(problem("Limit", P.too_nested))
  end
  local thread = create(call)
  depth = depth + 1
  local ok, value = P.watched(resume(thread, f, answer, at))
  depth = depth - 1
  if ok and status(thread) == "dead" then
    return "give", value
  end
  local raised = value
  if ok then
    raised = problem("Script", "a function that the host calls cannot yield")
  end
  local line = P.line_in(thread)
  close(thread)
  return report(raised, line)
end

-- Runs the function that the host asks for in `answer`. Returns how that is to be answered.
function P.perform(answer)
  local id, number, at = unpack(">I8I8", answer, 2)
  local ok, operation, data = pcall(outcome, number, answer, at)
  if not ok then
    if P.exhausted then
      error(OUT_OF_MEMORY, 0)
    end
    operation, data = "refuse", "" -- not even the report found room
  end
  return operation, id, data
end

-- --- objects -------------------------------------------------------------------------------------

local held = setmetatable({}, { __mode = "k" }) -- objects to their numbers

function P.object_number(object)
  return held[object]
end

-- What all objects of one kind share; `methods` is filled in later.
function P.new_kind(name, methods)
  local shown = "[" .. name .. "]"
  return {
    __name = name,
    __metatable = false,
    __index = methods,
    __newindex = function()
      error(format("an object of kind '%s' cannot be changed", name), 2)
    end,
    __tostring = function()
      return shown
    end,
  }
end

function P.new_object(kind, number)
  local object = setmetatable({}, kind)
  held[object] = number
  return object
end

-- A method of the objects of one kind: `run(number, ...)` with the number of the one at hand.
function P.method_of(kind, name, run)
  return function(object, ...)
    if metatable_of(object) ~= kind or not held[object] then
      error(problem("Validation", format("call %s with a colon, on an object of its kind", name)), 0)
    end
    return run(held[object], ...)
  end
end

-- --- answers that work as text -------------------------------------------------------------------

local texts = setmetatable({}, { __mode = "k" }) -- answers to their texts
P.texts = texts

local function text_of(value)
  return texts[value] or value
end

local Text = { __name = "text", __metatable = false, __tostring = text_of }

function Text.__index(_, name)
  local method = rawget(strings, name)
  if type(method) ~= "function" then
    return method
  end
  return function(value, ...)
    return method(text_of(value), ...)
  end
end

function Text.__len(answer)
  return #texts[answer]
end

function Text.__concat(left, right)
  return text_of(left) .. text_of(right)
end

function Text.__eq(left, right)
  return text_of(left) == text_of(right)
end

function Text.__lt(left, right)
  return text_of(left) < text_of(right)
end

function Text.__le(left, right)
  return text_of(left) <= text_of(right)
end

-- The same table, which now is its text `content` as well.
function P.text_answer(answer)
  local content = type(answer) == "table" and rawget(answer, "content")
  if type(content) == "string" then
    texts[setmetatable(answer, Text)] = content
  end
  return answer
end

function P.text_answers(answers)
  for _, answer in next, answers do
    P.text_answer(answer)
  end
  return answers
end
