-- id = "J19"
-- title = "text that is none, in every place that takes text"

local gains = {}

local HOSTILE = { "\xed\xa0\x80", "\xff\xfe", "\xc0\xaf", "\xf5\x80\x80\x80", "\0", "a\0b",
  "\xe2\x80\xae", "\27]52;c;AAAA\7", "\xf4\x90\x80\x80", ("\xf0"):rep(1000), "\xef\xbf\xbe" }
for _, text in ipairs(HOSTILE) do
  local valid = utf8.len(text) ~= nil
  local ok, encoded = pcall(json.encode, { text })
  if ok and not valid then
    gains[#gains + 1] = ("%q became JSON"):format(text:sub(1, 10))
  elseif ok and json.decode(encoded)[1] ~= text then
    gains[#gains + 1] = ("%q came back as another"):format(text)
  elseif valid and not ok then
    gains[#gains + 1] = ("%q was refused"):format(text)
  end
  pcall(json.encode, { [text] = text })
  pcall(json.decode, text)
  pcall(json.decode, '"' .. text .. '"')
  pcall(util.base64_decode, text)
  pcall(util.hash, text, text)
  pcall(llm.models, text)
  pcall(llm.models, { [text] = 1 })
  console.log(text, { [text] = text })
  console.error(text)
  pcall(error, text)
  load(text, text)
  local read = env[text]
  if read ~= nil then
    gains[#gains + 1] = "a variable of that name"
  end
end
local ok, problem = pcall(json.encode, { [("\xff"):rep(1 << 20)] = 1 })
if ok or #tostring(problem) > 1000 then
  gains[#gains + 1] = "an error as long as its cause"
end
pcall(json.encode, ("x"):rep(64 << 20))
return gains
