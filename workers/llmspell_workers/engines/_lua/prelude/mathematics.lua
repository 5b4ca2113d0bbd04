-- What `math` gains. The same results as `library/_math.py`; arguments that do not fit are handed
-- to it, so that its errors are the same in every language.
local P = ...
local next, rawget, rawlen, select, type = next, rawget, rawlen, select, type
local floor, abs, math_type, tointeger = math.floor, math.abs, math.type, math.tointeger
local sort = table.sort

local SAFE = (1 << 53) - 1 -- as JavaScript has it
local math = P.env.math

local function result(x)
  if x >= -SAFE and x <= SAFE then
    return tointeger(x) or x
  end
  return x
end

-- A finite number: NaN and infinities are refused as in every call.
local function is_number(x)
  return math_type(x) and x - x == 0
end

local function define(name, arity, compute)
  local elsewhere = P.library_function("math." .. name)
  math[name] = function(...)
    local a, b, c = ...
    local fits = is_number(a) and (arity < 2 or is_number(b)) and (arity < 3 or is_number(c))
    if not fits or select("#", ...) > arity then
      return elsewhere(...)
    end
    return result(compute(a + 0.0, (b or 0) + 0.0, (c or 0) + 0.0))
  end
end

-- Over a list; `compute` gets a fresh copy, as floats, and its length, which is not 0.
local function define_list(name, compute)
  local elsewhere = P.library_function("math." .. name)
  math[name] = function(...)
    local values = ...
    local count = type(values) == "table" and rawlen(values) or 0
    local empty = count == 0 and type(values) == "table" and next(values) == nil
    if count == 0 and not empty or select("#", ...) > 1 then
      return elsewhere(...)
    end
    local floats = {}
    for i = 1, count do
      local value = rawget(values, i)
      if not is_number(value) then
        return elsewhere(...)
      end
      floats[i] = value + 0.0
    end
    return count == 0 and 0 or result(compute(floats, count))
  end
end

define("pow", 2, function(base, exponent)
  return base ^ exponent
end)

define("clamp", 3, function(value, low, high)
  value = value < high and value or high
  return value > low and value or low
end)

define("round", 1, function(value)
  local size = abs(value)
  local whole = floor(size) + 0.0
  if size - whole >= 0.5 then
    whole = whole + 1
  end
  return value < 0 and -whole or whole
end)

define("trunc", 1, function(value)
  return value < 0 and -floor(-value) + 0.0 or floor(value) + 0.0
end)

define("sign", 1, function(value)
  return value > 0 and 1 or value < 0 and -1 or 0
end)

define("lerp", 3, function(from, to, fraction)
  return from + (to - from) * fraction
end)

local function sum(floats, count)
  local total = 0.0
  for i = 1, count do
    total = total + floats[i]
  end
  return total
end

define_list("sum", sum)

define_list("mean", function(floats, count)
  return sum(floats, count) / count
end)

define_list("median", function(floats, count)
  sort(floats)
  local half = count // 2
  if count % 2 == 1 then
    return floats[half + 1]
  end
  return (floats[half] + floats[half + 1]) / 2
end)
