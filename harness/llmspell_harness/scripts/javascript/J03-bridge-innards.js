// id = "J03"
// title = "the innards of bridges and their functions"

const gains = [];
const gain = (words) => gains.push(words);

for (const [name, table] of Object.entries({ llm, console, json, util, math, env })) {
  if (Object.getPrototypeOf(table) !== null) gain(`${name} has a prototype`);
  if (!Object.isFrozen(table)) gain(`${name} is not frozen`);
  for (const key of ["constructor", "__proto__", "toString", "valueOf", "__defineGetter__",
    "__lookupGetter__", "hasOwnProperty", "__class__", "__dict__"]) {
    if (table[key] !== undefined) gain(`${name}.${key}`);
  }
  try { table.extra = 1; gain(`${name} was written`); } catch { /* frozen */ }
  try { Object.setPrototypeOf(table, {}); gain(`${name} has a new prototype`); } catch { /* frozen */ }
  try { globalThis[name] = {}; gain(`${name} was replaced`); } catch { /* not writable */ }
  try { delete globalThis[name]; gain(`${name} was deleted`); } catch { /* not configurable */ }
  for (const [method, call] of Object.entries(table)) {
    if (typeof call !== "function") continue;
    if (!Object.isFrozen(call)) gain(`${name}.${method} is not frozen`);
    if ("prototype" in call) gain(`${name}.${method} can be constructed`);
    for (const key of ["__globals__", "__self__", "__code__", "__call__", "caller", "arguments"]) {
      try {
        const found = call[key];
        if (found !== undefined && found !== null) gain(`${name}.${method}.${key}`);
      } catch { /* it throws, as it must in strict code */ }
    }
    for (const abuse of [() => new call(), () => Reflect.construct(Object, [], call)]) {
      try { abuse(); gain(`${name}.${method} constructs`); } catch { /* as it must */ }
    }
  }
}

// Who calls: from inside of a conversion the prelude is on the stack.
const spy = Function("return function spy() { try { return spy.caller } catch { return null } }")();
const argue = Function(
  "return function argue() { try { return argue.caller.arguments } catch { return null } }")();
const seen = new Set();
const trap = () => {
  seen.add(spy());
  seen.add(argue());
  return 1;
};
const hostile = { get a() { return trap(); }, [Symbol.toPrimitive]: trap };
Object.defineProperty(hostile, "toString", { value: trap });
json.encode(hostile);
console.log(hostile);
await llm.models(hostile).catch(trap);
await llm.models.call(hostile, hostile).catch(trap);
await llm.models.apply(null, [hostile]).catch(trap);
await llm.models.bind(hostile)(hostile).catch(trap);
for (const found of seen) {
  if (found !== null && found !== trap) gain(`a caller: ${String(found).slice(0, 80)}`);
}
return gains;
