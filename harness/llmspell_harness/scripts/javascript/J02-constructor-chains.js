// id = "J02"
// title = "from any function of the host to a Function of another world"

// n8n CVE-2025-68613 and CVE-2026-25049, terrarium CVE-2026-5752, vm2 CVE-2023-29017, -30547,
// -32314, -37466, -37903, CVE-2022-36067, CVE-2026-22709: each led from a value that the host had
// made to the host's own Function.
const gains = [];
const foreign = `
  const gained = [];
  for (const name of ["python", "process", "require", "Deno", "Bun", "host", "module", "pmEval",
      "mainModule", "WebAssembly"])
    if (globalThis[name] !== undefined) gained.push(name);
  return [globalThis, gained]`;

const climb = (where, value) => {
  for (const step of [(v) => v.constructor, (v) => v.constructor.constructor,
    (v) => v.__proto__.constructor.constructor, (v) => Object.getPrototypeOf(v).constructor,
    (v) => v["cons" + "tructor"]["const" + "ructor"],
    (v) => { const { constructor: { constructor: made } } = v; return made; },
    (v) => v.__lookupGetter__("__proto__").constructor, (v) => v.toString.constructor,
    (v) => Reflect.get(v, "constructor", v), (v) => v.valueOf().constructor.constructor]) {
    let made;
    try { made = step(value)(foreign)(); } catch {
      try { made = step(value)(foreign); } catch { continue; }
    }
    if (!Array.isArray(made) || !Array.isArray(made[1])) continue;
    const [world, gained] = made;
    if (world !== globalThis) gains.push(`${where}: another global`);
    for (const name of gained) gains.push(`${where}: ${name}`);
  }
};

for (const [table, name] of [[llm, "llm"], [console, "console"], [json, "json"], [util, "util"],
  [math, "math"], [globalThis, "globalThis"]]) {
  climb(name, table);
  for (const key of Reflect.ownKeys(table)) {
    let value;
    try { value = table[key]; } catch { continue; }
    if (value !== undefined && value !== null) climb(`${name}.${String(key)}`, value);
  }
}
climb("params", params);
climb("env", env);

// What the host makes: errors, promises, answers, arguments of callbacks, streams.
const thrown = async (where, call) => {
  try {
    const value = call();
    if (typeof value === "object" && value !== null) climb(`${where}'s value`, value);
    const answer = await value;
    if (typeof answer === "object" && answer !== null) climb(`${where}'s answer`, answer);
  } catch (error) {
    climb(`${where}'s error`, error);
    for (const key of Reflect.ownKeys(error)) {
      const part = error[key];
      if (part !== undefined && part !== null) climb(`${where}'s error.${String(key)}`, part);
    }
  }
};
await thrown("llm.models", () => llm.models());
await thrown("a refused bridge call", () => llm.models(Symbol("x")));
await thrown("a refused library call", () => json.encode(() => 1));
await thrown("malformed JSON", () => json.decode("{"));
await thrown("a symbol as a name", () => {
  const error = new Error();
  error.name = Symbol();
  throw error.stack && error;
});
await thrown("a sleep", () => util.sleep(0));
await thrown("a refused sleep", () => util.sleep("x"));
await thrown("a full stack", () => { const f = () => f(); f(); });
await thrown("an async generator", () => (async function* () { yield llm; })().next());
await thrown("a stream", () => llm.stream(Symbol()));
await new Promise((resolve) => setTimeout(function (...args) {
  climb("a timer's arguments", args);
  if (this !== undefined) climb("a timer's this", this);
  resolve();
}, 1, "x"));
const pending = llm.models();
const thenError = await pending.then(Symbol, Symbol).catch((error) => error);
if (typeof thenError === "object") climb("an error in then", thenError);
class Hooked extends Promise {
  constructor(executor) {
    super((resolve, reject) => executor((v) => { climb("species' value", Object(v)); resolve(v); },
      (e) => { climb("species' error", Object(e)); reject(e); }));
  }
}
const hooked = llm.models(Symbol());
hooked.constructor = { [Symbol.species]: Hooked };
await hooked.then(() => 0, () => 0);
const proxied = new Proxy(llm.models, { apply: (call, self, args) => Reflect.apply(call, self, args) });
await thrown("a proxy around it", () => proxied.call(new Proxy({}, {}), new Proxy({}, {})));
return gains;
