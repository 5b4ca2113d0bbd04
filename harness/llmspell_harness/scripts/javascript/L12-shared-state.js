// id = "L12"
// title = "prototypes and globals, spoilt for whoever comes next"

// Redis CVE-2025-46818: what one script does to basic types, the next one runs.
const gains = [];
const MARK = "left by an attack";
for (const holder of [globalThis, Object.prototype, Array.prototype, String.prototype, Number.prototype,
  Function.prototype, Promise.prototype, Error.prototype, Math, JSON, Reflect, Intl, console, llm, json]) {
  if (Object.hasOwn(holder, MARK)) gains.push("the state of another run");
  try { holder[MARK] = 1; } catch { /* frozen */ }
}
for (const symbol of [Symbol.for(MARK)]) {
  if (globalThis[symbol] !== undefined) gains.push("a symbol of another run");
  globalThis[symbol] = 1;
}
RegExp.input = RegExp.$_ = MARK;
if (/another/.test(RegExp.lastMatch)) gains.push("the last match of another run");
/an(other)/.exec("another");
return gains;
