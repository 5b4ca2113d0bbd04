// id = "J24"
// title = "paths of the host in stacks and errors"

// vm2 CVE-2022-36067 and its like: a hook that is called with the frames of the host.
const gains = [];
const foreign = /(?:^|[@\s("'])(?:file:|[A-Z]:\\|\/[\w.])|site-packages|\.py\b|\.so\b|mozjs/m;
const look = (where, text) => {
  if (typeof text !== "string") return;
  const found = foreign.exec(text);
  if (found) gains.push(`${where}: ${text.slice(Math.max(0, found.index - 40), found.index + 80)}`);
};
let frames = 0;
Error.prepareStackTrace = (error, sites) => {
  frames++;
  for (const site of sites) {
    look("a frame's file", site.getFileName?.());
    if (typeof site.getFunction?.() === "function") gains.push("a function of a frame");
    if (site.getThis?.() !== undefined) gains.push("the this of a frame");
  }
  return error;
};
Error.stackTraceLimit = Infinity;

const examine = (where, error) => {
  for (const key of new Set([...Reflect.ownKeys(Object(error)), "stack", "fileName", "message",
    "lineNumber", "sourceURL", "cause", "toString"])) {
    const part = error?.[key];
    look(`${where}.${String(key)}`, typeof part === "function" ? String(part.call(error)) : part);
  }
};
const calls = {
  "llm.models": () => llm.models(Symbol()), "json.encode": () => json.encode(() => 1),
  "json.decode": () => json.decode("{"), "util.hash": () => util.hash(), "math.sum": () => math.sum(1),
  "util.sleep": () => util.sleep("x"), "setTimeout": () => setTimeout(1),
  "queueMicrotask": () => queueMicrotask(1),
  "llm.complete": () => llm.complete(Symbol()), "llm.stream": () => llm.stream(Symbol()).next(),
  "recursion": () => { const f = () => json.encode({ get a() { return f(); } }); f(); },
  "a parser": () => Function("("), "eval": () => (0, eval)("nothing.there"),
  "an expression": () => RegExp("("), "Intl": () => new Intl.NumberFormat("x-"),
  "a getter": () => json.encode({ get a() { throw new Error(new Error().stack); } }),
  "base64": () => Uint8Array.fromBase64("?"), "iteration": () => { const [a] = 1; return a; },
};
for (const [name, call] of Object.entries(calls)) {
  try { await call(); } catch (error) { examine(name, error); }
}
await new Promise((resolve) => setTimeout(() => { look("a timer", new Error().stack); resolve(); }, 1));
await llm.models().then(() => look("a job", new Error().stack));
look("here", new Error().stack);
json.encode({ get a() { look("a getter's stack", new Error().stack); return 1; } });
Error.captureStackTrace?.(params);
look("params", params.stack);
if (frames > 0) gains.push("prepareStackTrace was called");
return gains;
