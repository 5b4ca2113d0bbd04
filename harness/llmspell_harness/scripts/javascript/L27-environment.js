// id = "L27"
// title = "a world of our own for code that comes later"

const gains = [];
const before = json.encode({ a: 1 });
const asked = new Set();
Object.setPrototypeOf(globalThis, new Proxy(Object.prototype, {
  has: (_, name) => { asked.add(String(name)); return false; },
  get: (target, name) => target[name],
}));
for (const name of ["Object", "Array", "Promise", "Error", "JSON", "Reflect", "Map", "Symbol", "String",
  "Uint8Array", "undefined", "eval", "Function"]) {
  try { globalThis[name] = () => { gains.push(`the host's side used our ${name}`); return {}; }; } catch { /* fixed */ }
}
if (json.encode({ a: 1 }) !== before) gains.push("json.encode is another");
console.log({ a: [1] }, new Date(0));
await llm.models();
await util.sleep(1);
for (const name of asked) gains.push(`the host's side looked up ${name}`);
for (const name of ["llm", "json", "console", "util", "params", "env", "setTimeout"]) {
  try { globalThis[name] = {}; gains.push(`${name} was replaced`); } catch { /* fixed */ }
  try { Object.defineProperty(globalThis, name, { value: {} }); gains.push(`${name} was defined anew`); } catch { /* fixed */ }
}
return gains;
