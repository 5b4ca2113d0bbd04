// id = "J01"
// title = "the object through which PythonMonkey gives Python"

// What a name leads to is used at once: to read a file of the host.
const gains = [];
const read = `open(${JSON.stringify(params.file)}).read()`;

const use = (name, python) => {
  if (python === undefined || python === null) return;
  try {
    gains.push(`${name}: ${python.eval(read)}`);
  } catch (error) {
    gains.push(`${name}: there, but ${error}`);
  }
};
const worlds = {
  "globalThis": () => globalThis,
  "Function": () => Function("return this")(),
  "indirect eval": () => (0, eval)("this"),
  "sloppy function": () => new Function("return (function () { return this })()")(),
  "async function": () => (async () => {}).constructor("return globalThis")(),
  "generator": () => (function* () {}).constructor("yield globalThis")().next().value,
  "a getter's this": () => Object.getOwnPropertyDescriptor(
    Function("Object.defineProperty(this, 'probed', {get() { return this }, configurable: true}); "
      + "return this")(), "probed").get.call(undefined),
  "an error's constructor": () => {
    try { null.x; } catch (error) { return error.constructor.constructor("return this")(); }
  },
  "a second global": () => globalThis.debuggerGlobal,
  "a realm": () => new ShadowRealm().evaluate("globalThis"),
  "a new global": () => globalThis.newGlobal(),
  "a debugger": () => new debuggerGlobal.Debugger().addDebuggee(globalThis).unsafeDereference(),
  "self": () => globalThis.self ?? globalThis.window ?? globalThis.global ?? globalThis.frames,
};
for (const [name, find] of Object.entries(worlds)) {
  let world;
  try { world = await find(); } catch { continue; }
  if (world === undefined || world === null) continue;
  use(`${name}.python`, world.python);
  for (const key of ["pmEval", "Debugger", "require", "module", "process", "bootstrap", "load",
    "quit", "evalcx", "newGlobal", "ShadowRealm", "internalBinding", "pythonmonkey", "print", "os",
    "evaluate", "runOffThreadScript", "getenv", "read", "snarf", "dump", "gc", "XPCOMUtils"]) {
    if (world[key] !== undefined) gains.push(`${name}.${key}`);
  }
}
for (const name of ["python", "pmEval", "python.getenv", "python.stdout", "python.exec",
  "python.load", "python.exit", "python.builtins", "python.paths", "python.pythonMonkey"]) {
  try {
    if (eval(name) !== undefined) gains.push(name);
  } catch { /* it is not there */ }
}

// Everything in reach: is any of it an object of Python's?
const seen = new Set();
const walk = (value, where, depth) => {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return;
  if (seen.has(value) || depth > 8 || gains.length > 20) return;
  seen.add(value);
  for (const mark of ["__class__", "__globals__", "__builtins__", "__self__"]) {
    try {
      if (value[mark] !== undefined) gains.push(`${where}.${mark}`);
    } catch { /* a getter that wants another receiver */ }
  }
  walk(Object.getPrototypeOf(value), `${where}.__proto__`, depth + 1);
  for (const key of Reflect.ownKeys(value)) {
    const { value: item, get, set } = Object.getOwnPropertyDescriptor(value, key) ?? {};
    for (const part of [item, get, set]) walk(part, `${where}.${String(key)}`, depth + 1);
  }
};
walk(globalThis, "globalThis", 0);
try { await llm.models(Symbol()); } catch (error) { walk(error, "a host error", 0); }
walk(llm.models().catch(() => 0), "a host promise", 0);
walk(await llm.models().catch(() => 0), "a host answer", 0);
return gains;
