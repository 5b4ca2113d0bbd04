-- id = "L06"
-- title = "lupa's own helpers"

local gains = {}

local NAMES = { "as_attrgetter", "as_itemgetter", "as_function", "iter", "iterex", "enumerate",
  "set_overflow_handler", "none", "eval", "builtins", "globals", "exec", "args" }
local function look(where, holder)
  for _, name in ipairs(NAMES) do
    local ok, found = pcall(function() return holder[name] end)
    if ok and found ~= nil then
      gains[#gains + 1] = where .. "." .. name
    end
  end
end

pcall(look, "python", python)
look("_G", _G)
look("string", string)
pcall(function() look("lupa", require("lupa")) end)

-- Integers that Python can hold and Lua cannot would ask the overflow handler.
local ok, value = pcall(json.decode, "99999999999999999999999999")
if ok and math.type(value) == "integer" then
  gains[#gains + 1] = "an integer that wrapped around"
elseif ok and type(value) == "userdata" then
  gains[#gains + 1] = "a Python integer"
end
return gains
