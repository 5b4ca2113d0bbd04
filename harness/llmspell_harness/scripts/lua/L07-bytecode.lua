-- id = "L07"
-- title = "bytecode, made by string.dump and by hand"

-- Lua does not check bytecode: forged, it reads and writes any address.
local gains = {}

local function try(name, ...)
  local ok, chunk = pcall(load, ...)
  if ok and type(chunk) == "function" then
    gains[#gains + 1] = name
  end
end

local function sample() return 42 end
local ok, dumped = pcall(function() return string.dump(sample) end)
if ok then
  gains[#gains + 1] = "string.dump"
  try("a dump, binary", dumped, "x", "b")
  try("a dump, either", dumped, "x", "bt")
end
if pcall(function() return ("").dump(sample) end) then
  gains[#gains + 1] = "dump as a method"
end

-- `return 42` as luac 5.4 writes it, and the same with a jump of 2^24 instructions.
local HEADER = "\x1bLua\x54\0\x19\x93\r\n\x1a\n\4\8\8" .. string.pack("<i8n", 0x5678, 370.5)
local function forged(code)
  return HEADER .. "\1\x80\x80\x80\0\1\2" .. string.char(0x80 + #code // 4) .. code
    .. "\x80\x81\1\0\0\x80\x80\x80\x80\x80"
end
local VARARGPREP, RETURN = "\x51\0\0\0", "\x46\0\1\1"
local LOADI = "\x01\0\x14\x80"
local JUMP = "\x38\xff\xff\xff"
local LOADK_FAR = "\x03\0\xff\xff"
for name, binary in pairs({
  ["made by hand"] = forged(VARARGPREP .. LOADI .. RETURN .. RETURN),
  ["a jump out of range"] = forged(VARARGPREP .. JUMP .. RETURN),
  ["a constant out of range"] = forged(VARARGPREP .. LOADK_FAR .. RETURN),
  ["a header alone"] = HEADER,
}) do
  try(name .. ", binary", binary, "x", "b")
  try(name .. ", either", binary, "x", "bt")
  try(name .. ", no mode", binary)
  try(name .. ", empty environment", binary, "x", "b", {})
  try(name .. ", mode with NUL", binary, "x", "\0b")
  local at = 0
  try(name .. ", in pieces", function()
    at = at + 1
    return at <= #binary and binary:sub(at, at) or nil
  end, "x", "b")
end

-- The mode is asked for once, and checked on what is used.
local asked = 0
local mode = setmetatable({}, { __tostring = function()
  asked = asked + 1
  return asked > 1 and "b" or "t"
end })
try("a mode that changes", HEADER, "x", mode)

-- A reader that shows text first, and code when nobody looks.
local turn = 0
try("a reader that changes", function()
  turn = turn + 1
  return turn == 1 and "\x1b" or turn == 2 and forged(LOADI .. RETURN):sub(2) or nil
end, "x", "t")
return gains
