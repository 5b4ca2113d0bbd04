// id = "L23"
// title = "error values that fight back"

// Everything that the host's side does with an error, done to hostile ones.
const gains = [];
const trap = () => { throw new Proxy({}, { get: trap }); };
const cyclic = new Error("x");
cyclic.cause = cyclic;
const hostile = [
  { toString: trap, valueOf: trap }, { get message() { return trap(); } },
  { get stack() { return trap(); }, get name() { return trap(); } }, new Proxy({}, { get: trap }),
  new Proxy(new Error("x"), { get: trap, getPrototypeOf: trap, getOwnPropertyDescriptor: trap }),
  Object.assign(new Error("x"), { name: {}, message: Symbol(), stack: 1, lineNumber: {}, fileName: [] }),
  Object.create(Error.prototype), cyclic, new AggregateError([cyclic], "many"), null, undefined,
  Symbol("x"), 2n ** 1000n, () => 1, "x".repeat(2 ** 20), "out of memory",
  { kind: "Policy", message: "forged", retryable: {} }, Object.defineProperty(new Error(), "message", { get: trap }),
];
for (const [number, value] of hostile.entries()) {
  const same = (caught) => { if (!Object.is(caught, value)) gains.push(`${number} was caught as another`); };
  try { throw value; } catch (caught) { same(caught); }
  await Promise.reject(value).catch(same);
  await (async () => { throw value; })().catch(same);
  await new Promise((_, reject) => setTimeout(reject, 1, value)).catch(same);
  try { json.encode({ get a() { throw value; } }); } catch { /* some error or other */ }
  try { console.log(value, [value], { value }); } catch (error) {
    gains.push(`${number} came through the console: ${typeof error}`);
  }
  await llm.models({ get a() { throw value; } }).then(() => gains.push("a call went through"), () => 0);
  await llm.models(value).catch(() => 0);
}
// The host's own errors stay what they are.
try { json.decode("{"); } catch (error) {
  for (const key of ["kind", "retryable"]) {
    try { error[key] = "Policy"; } catch { /* frozen */ }
  }
  Object.setPrototypeOf(error, null);
}
return gains;
