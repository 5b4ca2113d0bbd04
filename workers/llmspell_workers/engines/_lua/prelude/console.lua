-- How values look on the console: text as it is, tables as one line that is close to JSON.
local P = ...
local next, rawequal, select, tostring, type = next, rawequal, select, tostring, type
local concat, sort = table.concat, table.sort
local metatable_of, rawget, rawlen, sub = debug.getmetatable, rawget, rawlen, string.sub

local MAX_TEXT = 32768 -- bytes of one entry; the session cuts there and says so
local DEPTH = 8 -- tables inside tables; a person reads no further

-- In the words of the other languages, which show no address either.
local OPAQUE = { ["function"] = "[Function]", thread = "[Thread]", userdata = "[Userdata]" }

local function plain(value)
  local kind = type(value)
  if kind == "string" then
    return P.quote(sub(value, 1, MAX_TEXT + 1))
  end
  return OPAQUE[kind] or tostring(value)
end

local function sorted_keys(t)
  local keys, count = {}, 0
  for key in next, t do
    count = count + 1
    keys[count] = key
  end
  sort(keys, function(a, b)
    local left, right = type(a), type(b)
    if left ~= right or left ~= "string" and left ~= "number" then
      return left < right
    end
    return a < b
  end)
  return keys, count
end

local function show_table(t, open, budget, depth)
  if open[t] then
    return "[Circular]"
  end
  local parts, size = {}, rawlen(t)
  local is_list = size > 0 or next(t) == nil and not P.is_object(t)
  if depth > DEPTH then
    return is_list and "[...]" or "{...}"
  end
  open[t] = true
  local keys, count
  if not is_list then
    keys, count = sorted_keys(t)
  end
  for i = 1, count or size do
    if budget.left <= 0 then
      parts[i] = "..."
      break
    end
    local key = keys and keys[i] or i
    local value = rawget(t, key)
    local text = type(value) == "table" and P.show_nested(value, open, budget, depth + 1)
      or plain(value)
    parts[i] = is_list and text
      or (type(key) == "string" and P.quote(key) or "[" .. plain(key) .. "]") .. ":" .. text
    budget.left = budget.left - #parts[i]
  end
  open[t] = nil
  local inside = concat(parts, ",")
  return is_list and "[" .. inside .. "]" or "{" .. inside .. "}"
end

function P.show_nested(value, open, budget, depth)
  local meta = metatable_of(value)
  if P.texts[value] then
    return depth > 1 and P.quote(P.texts[value]) or P.texts[value]
  elseif rawequal(value, P.null) then
    return "null"
  elseif type(meta) == "table" and rawget(meta, "__tostring") then
    return tostring(value)
  end
  return show_table(P.proxies[value] or value, open, budget, depth)
end

-- Values with a space between them.
function P.show(...)
  local parts = {}
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    if type(value) == "string" then
      parts[i] = value
    elseif type(value) == "table" then
      parts[i] = P.show_nested(value, {}, { left = MAX_TEXT }, 1)
    else
      parts[i] = plain(value)
    end
  end
  return concat(parts, " ")
end
