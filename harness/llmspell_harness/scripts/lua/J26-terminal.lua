-- id = "J26"
-- title = "escapes and forged lines for whoever reads the log"

-- What sinks make of them is their own row; here they must pass through as text, each in its entry.
local gains = {}
for _, text in ipairs({ "\27[2J\27[H", "\27]0;title\7", "\27]52;c;Y2FuYXJ5\7", "\27]8;;http://x\7x\27]8;;\7",
  "safe\rforged", "line\nverdict: ok", "\x9b31m", "\xe2\x80\xaetxt", "\8\8\8", "\0",
  '"}\n{"verdict":"ok"', "\x1bc", "\x1b[?1049h" }) do
  console.log(text)
  console.warn({ [text] = text })
  console.write(text)
  if not pcall(console.debug, text, nil, { text }) then
    gains[#gains + 1] = "a line that cannot be written"
  end
end
return gains
