// id = "J05"
// title = "WebAssembly where machine code is granted"
// policy = {jit = true}

const gains = [];
if (typeof WebAssembly !== "undefined") {
  const memory = new WebAssembly.Memory({ initial: 65536 });
  gains.push(`WebAssembly, and a memory of ${memory.buffer.byteLength} bytes`);
}
for (const find of [
  () => Function("return WebAssembly")(),
  () => (0, eval)("WebAssembly"),
  () => debuggerGlobal.WebAssembly,
  () => Reflect.ownKeys(globalThis).find((key) => /wasm|webassembly/i.test(String(key))),
  () => Object.getPrototypeOf(async () => {}).constructor("return WebAssembly")(),
]) {
  try {
    if (await find() !== undefined) gains.push(`WebAssembly by ${find}`);
  } catch { /* not there */ }
}

// asm.js compiles the same way: where it does, such a module is as fast as machine code.
const module = Function("stdlib", "foreign", "heap", `"use asm";
  var u8 = new stdlib.Uint8Array(heap);
  function f(i) { i = i | 0; return u8[i] | 0; }
  return f;`);
const f = module(globalThis, {}, new ArrayBuffer(0x10000));
for (const index of [0, 0xffff, 0x10000, -1, 0x7fffffff, -0x80000000]) {
  if (f(index) !== 0) gains.push(`asm.js reads beyond its heap at ${index}`);
}
return gains;
