// id = "J15"
// title = "prototypes that lend their fields to whatever the host's side makes"

const gains = [];
const define = Object.defineProperty;
const caught = [];
const spy = (where) => ({
  __proto__: null, configurable: true,
  get() { return undefined; },
  set(value) { caught.push(`${where} was given ${typeof value}`); },
});

const before = json.encode(await llm.models());
for (const key of ["url", "method", "kind", "message", "retryable", "field", "id", "credit", "args",
  "chunk", "reply", "fault", "weight", "depth", "root", "path", "marked", "items", "reasons", "text",
  "container", "callback", "repeat", "delay", "stack", "line", "column", "done", "resolve", "reject",
  "info", "host", "name", "level", "params", "env", "manifest", "library", "options", "alphabet"]) {
  define(Object.prototype, key, spy(`Object.prototype.${key}`));
}
for (let i = 0; i < 20; i++) define(Array.prototype, `${i}`, spy(`Array.prototype[${i}]`));
for (const key of ["then", "constructor"]) define(Array.prototype, key, spy(`Array.prototype.${key}`));
define(Error.prototype, "message", spy("Error.prototype.message"));
define(Error.prototype, "kind", spy("Error.prototype.kind"));
define(Function.prototype, "id", spy("Function.prototype.id"));
for (const key of ["get", "set", "value", "writable", "enumerable", "configurable"]) {
  Object.prototype[key] = key === "get" || key === "set" ? () => { caught.push(key); } : true;
}
try {
  if (json.encode([1, { a: [2] }]) !== '[1,{"a":[2]}]') gains.push("json.encode gave another value");
  if (json.decode('{"__proto__":{"x":1},"a":[1]}').x !== undefined) gains.push("JSON set a prototype");
  console.log("text", [1, { a: 1 }], new Map([[1, 2]]), new Error("x"));
  if (json.encode(await llm.models()) !== before) gains.push("a bridge gave another answer");
  await llm.models(Symbol()).catch(() => 0);
  try { json.encode({ a: { b: Symbol() } }); } catch (error) {
    if (error.kind !== "Conversion") gains.push("an error lost its kind");
  }
  await util.sleep(1);
  await new Promise((resolve) => setTimeout(resolve, 1, 1, 2, 3));
  queueMicrotask(() => {});
  await null;
} finally {
  for (const key of ["get", "set", "value", "writable", "enumerable", "configurable"]) {
    delete Object.prototype[key];
  }
}
for (const words of caught) {
  if (gains.length < 20) define(gains, gains.length, { __proto__: null, value: words, enumerable: true });
}
return gains;
