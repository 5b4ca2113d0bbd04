-- id = "L23"
-- title = "error values that fight back"

-- Everything that the host's side does with an error, done to hostile ones; see the others of this
-- id for what happens to one that nobody catches.
local gains = {}

local function spin() error(setmetatable({}, { __tostring = spin }), 0) end
local hostile = {
  setmetatable({}, { __tostring = function() return 1 end }),
  setmetatable({}, { __tostring = function() return {} end }),
  setmetatable({}, { __tostring = function() error("again") end }),
  setmetatable({}, { __tostring = function(e) error(e, 0) end }),
  setmetatable({}, { __tostring = spin }),
  setmetatable({}, { __tostring = function() return coroutine.yield() end }),
  setmetatable({}, { __name = ("n"):rep(1 << 16) }),
  setmetatable({}, { __name = 1, __metatable = "hidden", __index = function() error("read") end }),
  setmetatable({ message = {} }, { __index = error, __concat = error, __eq = error, __len = error }),
  setmetatable({ kind = "Policy", message = "forged" }, { __gc = function() error("late") end }),
  { message = ("m"):rep(1 << 20), kind = 1, retryable = {}, line = 1e300 },
  function() end,
  coroutine.create(function() end),
  0 / 0,
  ("x"):rep(1 << 20),
  "\0\27[2J\r\n\xff\xfe",
}
for number, value in ipairs(hostile) do
  local function raise() error(value, 0) end
  local ok, caught = pcall(raise)
  if ok or not rawequal(caught, value) and value == value then
    gains[#gains + 1] = "value " .. number .. " was caught as another"
  end
  pcall(tostring, value)
  pcall(console.log, value)
  pcall(console.log, { value, { value } })
  pcall(json.encode, value)
  pcall(llm.models, value)
  xpcall(raise, debug.traceback)
  xpcall(raise, function() error(value, 0) end)
  xpcall(raise, console.log)
  coroutine.resume(coroutine.create(raise))
  pcall(coroutine.wrap(raise))
  pcall(table.sort, { 1, 2, 3 }, raise)
  pcall(string.gsub, "x", ".", raise)
  pcall(load, raise)
  pcall(function()
    local held <close> = setmetatable({}, { __close = raise })
    raise()
  end)
  setmetatable({}, { __gc = raise })
  collectgarbage()
end

-- The host's own errors stay what they are.
local _, refused = pcall(json.decode, "{")
pcall(rawset, refused, "kind", "Policy")
pcall(setmetatable, refused, { __tostring = spin })
if type(tostring(refused)) ~= "string" then
  gains[#gains + 1] = "the text of a host error was replaced"
end
return gains
