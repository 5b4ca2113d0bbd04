-- Errors as scripts see them, and what is told of one that nobody caught.
--
-- This chunk and the others of the prelude are loaded before any spell and keep what they need in
-- locals: nothing that a spell assigns, replaces or poisons later is ever looked up by them.
local P = ...
local pcall, rawget, setmetatable, tostring, type =
  pcall, rawget, setmetatable, tostring, type
local getinfo, metatable_of = debug.getinfo, debug.getmetatable
local concat, format, gsub = table.concat, string.format, string.gsub

local FRAMES = 20 -- lines of a stack that a person reads
local LEVELS = 200 -- how deep it is looked for frames to show

-- The name under which the prelude's own chunks are loaded; its frames are nobody's business.
local OWN = P.own_chunk

local Error = { __name = "error", __metatable = false }

function Error.__tostring(err)
  local message = rawget(err, "message")
  return type(message) == "string" and message or "error"
end

local function text_beside(value)
  if metatable_of(value) == Error then
    return Error.__tostring(value)
  end
  return value
end

function Error.__concat(left, right)
  return text_beside(left) .. text_beside(right)
end

-- A table with `kind`, `message` and whatever else is known; `tostring` gives the message.
function P.new_error(fields)
  return setmetatable(fields, Error)
end

local function spell_line(level, thread)
  for i = level, level + LEVELS do
    local frame
    if thread then
      frame = getinfo(thread, i, "Sl")
    else
      frame = getinfo(i, "Sl")
    end
    if not frame then
      return nil
    end
    if frame.source == P.chunk and frame.currentline > 0 then
      return frame.currentline
    end
  end
end

local function frame_text(frame)
  local place = frame.what == "C" and "[C]" or format("%s:%d", frame.short_src, frame.currentline)
  if frame.what == "main" then
    return place .. ": in main chunk"
  elseif frame.name then
    return format("%s: in function '%s'", place, frame.name)
  end
  return place .. ": in a function"
end

local function info(thread, level)
  if thread then
    return getinfo(thread, level, "Sln")
  end
  return getinfo(level + 1, "Sln")
end

-- The frames of scripts from `level` on, innermost first, one a line.
local function stack(thread, level)
  local lines, count = {}, 0
  local kept = 0 -- lines that end in a frame of a script, not of C
  for i = level, level + LEVELS do
    local frame = info(thread, i + (thread and 0 or 1))
    if not frame then
      break
    elseif frame.source == OWN then
      count = kept -- what C code the prelude called is its own business too
    else
      count = count + 1
      if count > FRAMES then
        lines[count] = "..."
        break
      end
      lines[count] = frame_text(frame)
      if frame.what ~= "C" then
        kept = count
      end
      if frame.what == "main" and frame.source == P.chunk then
        break
      end
    end
  end
  return concat(lines, "\n", 1, count)
end

-- `debug.traceback` of scripts: text only, and no frame of the prelude.
function P.traceback(...)
  local thread, message, level = nil, ...
  if type(message) == "thread" then
    thread, message, level = ...
  end
  if message ~= nil and type(message) ~= "string" and type(message) ~= "number" then
    return message
  end
  local text = stack(thread, level or (thread and 0 or 1))
  return (message and message .. "\n" or "") .. "stack traceback:\n\t" .. gsub(text, "\n", "\n\t")
end

-- The line of the spell where a coroutine stands, or where it died.
function P.line_in(thread)
  return spell_line(0, thread)
end

-- Message handler: runs where the error was raised, while the stack still stands.
function P.describe(err)
  return { raised = err, line = spell_line(3), stack = stack(nil, 2) }
end

-- The text of anything that was raised. Never raises, whatever the object does.
local function message_of(raised)
  local kind = type(raised)
  if kind == "string" then
    return raised
  elseif kind == "nil" or kind == "number" or kind == "boolean" then
    return tostring(raised)
  elseif kind == "table" then
    local meta = metatable_of(raised)
    local message = rawget(raised, "message")
    if meta and rawget(meta, "__tostring") then
      local ok, text = pcall(tostring, raised)
      if ok and type(text) == "string" then
        return text
      end
    elseif type(message) == "string" then
      return message
    end
  end
  return format("(error object is a %s value)", kind)
end
P.message_of = message_of

local function field(raised, name, kind)
  local value = rawget(raised, name)
  if type(value) == kind and (kind ~= "number" or value - value == 0) then -- finite
    return value
  end
  return nil
end

-- The fields of an uncaught error, for the report. Only errors of ours keep their kind.
function P.fields_of(raised)
  local known = metatable_of(raised) == Error and raised or {}
  local fields = { message_of(raised), field(known, "kind", "string") or "Script" }
  fields[3] = field(known, "retryable", "boolean") or false
  fields[4] = field(known, "retry_after", "number")
  fields[5] = field(known, "field", "string")
  fields[6] = field(known, "duration", "number")
  return fields
end
