// id = "J26"
// title = "escapes and forged lines for whoever reads the log"

// What sinks make of them is their own row; here they must pass through as text, each in its entry.
const gains = [];
for (const text of ["\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]52;c;Y2FuYXJ5\x07",
  "\x1b]8;;http://x\x07x\x1b]8;;\x07", "safe\rforged", "line\nverdict: ok", "\x9b31m", "\u202etxt",
  "\b\b\b", "\0", '"}\n{"verdict":"ok"', "\x1bc", "\x1b[?1049h", "\u2028", "\ud800"]) {
  console.log(text);
  console.warn({ [text]: text }, new Error(text), Symbol(text), new Map([[text, text]]));
  console.write(text);
  try { console.debug(text, null, [text]); } catch { gains.push("a line that cannot be written"); }
}
const hostile = { get a() { throw new Error("no"); }, [Symbol.toStringTag]: "\x1b[2J" };
console.info(hostile, [hostile], Object.create(hostile), new Proxy(hostile, {}));
return gains;
