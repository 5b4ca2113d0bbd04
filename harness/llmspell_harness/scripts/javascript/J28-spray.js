// id = "J28"
// title = "constants sprayed into compiled code"

// Without the compiler they stay bytes of bytecode: no page of a worker can be executed that was
// written, which the walls of the system hold by themselves.
const gains = [];
const sprayed = [];
for (let i = 0; i < 60; i++) {
  const constants = Array.from({ length: 50 }, (_, k) => `x ^ ${0x3c909090 + i * 50 + k}`).join(" ^ ");
  sprayed.push(new Function("x", `return ${constants}`));
}
for (const f of sprayed) for (let i = 0; i < 100; i++) f(i);
const asm = Function("stdlib", `"use asm";
  function f() { return (0x3c909090 ^ 0x3c909091) | 0; }
  return f;`)(globalThis);
if (asm() !== 1) gains.push("asm.js computed something else");
const doubles = Function("return [" + new Array(200).fill("-6.828527034422786e-229").join(",") + "]");
if (doubles().length !== 200) gains.push("constants were lost");
for (const name of ["WebAssembly", "Worker", "SharedArrayBuffer"]) {
  if (globalThis[name] !== undefined) gains.push(name);
}
return gains;
