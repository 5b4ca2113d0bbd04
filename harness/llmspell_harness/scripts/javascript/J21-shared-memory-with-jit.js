// id = "J21"
// title = "shared memory where machine code is granted"
// policy = {jit = true}

const gains = [];
const names = ["SharedArrayBuffer", "Atomics", "Worker", "performance", "WebAssembly"];
const worlds = [globalThis, Function("return this")(), globalThis.debuggerGlobal ?? {}];
for (const world of worlds) {
  for (const name of names) if (world[name] !== undefined) gains.push(name);
}
for (const find of [
  () => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer.constructor,
  () => Object.getPrototypeOf(new SharedArrayBuffer(8)),
  () => Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0, 1),
  () => Atomics.waitAsync(new Int32Array(new SharedArrayBuffer(8)), 0, 0, 1),
  () => Atomics.pause(),
]) {
  try { gains.push(`${find} gave ${find()}`); } catch { /* not there */ }
}
for (const key of Reflect.ownKeys(globalThis)) {
  if (/shared|atomic|worker/i.test(String(key))) gains.push(String(key));
}
return gains;
