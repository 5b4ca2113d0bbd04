-- id = "L26"
-- title = "the collector's settings, and collections during calls of the host"
-- policy = {memory = 67108864}

local gains = {}

for _, option in ipairs({ "stop", "restart", "generational", "incremental", "setpause",
  "setstepmul", "isrunning", "setparam", "\0" }) do
  for _, argument in ipairs({ 0, -1, 1000, math.maxinteger, math.mininteger }) do
    pcall(collectgarbage, option, argument, argument, argument)
  end
end
for _, size in ipairs({ 0, 1, -1, 1 << 30, math.maxinteger, math.mininteger }) do
  pcall(collectgarbage, "step", size)
end

-- Whatever was set: garbage is still collected, or this would need twice the limit.
for _ = 1, 1 << 11 do
  local _ = ("x"):rep(1 << 16)
end

-- Finalisers that call the host, run while the host is called and while it answers.
local answers = 0
local function call_host()
  local text = json.encode({ answers, { a = "x" } })
  if text ~= "[" .. answers .. ',{"a":"x"}]' then
    gains[#gains + 1] = "json.encode gave " .. text
  end
  local ok, list = pcall(json.decode, "[1,[2,[3]]]")
  if not ok or list[2][2][1] ~= 3 then
    gains[#gains + 1] = "json.decode gave " .. tostring(list)
  end
  answers = answers + 1
end
local function trap()
  setmetatable({}, { __gc = call_host })
end
for i = 1, 100 do
  trap()
  collectgarbage("step")
  local value = { i, tostring(i), { list = { i } } }
  trap()
  local back = json.decode(json.encode(value))
  if back[1] ~= i or back[2] ~= tostring(i) then
    gains[#gains + 1] = "a value came back as another"
  end
end
for _ = 1, 10 do
  trap()
  setmetatable({}, { __gc = function() pcall(llm.models) end })
  setmetatable({}, { __gc = collectgarbage })
  setmetatable({}, { __gc = function() error(collectgarbage("count")) end })
  local ok, answer = pcall(llm.models)
  collectgarbage()
  if not ok or type(answer) ~= "table" then
    gains[#gains + 1] = "a bridge answered " .. tostring(answer)
  end
end
if answers == 0 then
  gains[#gains + 1] = "no finaliser ran: this attack shows nothing"
end
return gains
