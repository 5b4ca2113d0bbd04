// id = "J22"
// title = "callbacks for what was collected"

const gains = [];
if (typeof FinalizationRegistry !== "undefined") {
  const registry = new FinalizationRegistry((held) => gains.push(`${held} ran`));
  registry.register({}, "a finaliser");
  gains.push("FinalizationRegistry");
}
for (const find of [() => Function("return FinalizationRegistry")(),
  () => debuggerGlobal.FinalizationRegistry, () => (0, eval)("FinalizationRegistry")]) {
  try { if (find()) gains.push(`by ${find}`); } catch { /* not there */ }
}
// What a weak reference shows is only whether memory was needed.
const weak = [];
for (let i = 0; i < 1000; i++) weak.push(new WeakRef({ i }));
await null;
for (let i = 0; i < 50; i++) new Uint8Array(2 ** 20);
for (const [i, ref] of weak.entries()) {
  const object = ref.deref();
  if (object !== undefined && object.i !== i) gains.push("another object");
}
return gains;
