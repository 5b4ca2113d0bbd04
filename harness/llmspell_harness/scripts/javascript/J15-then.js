// id = "J15"
// title = "a polluted then, through which every awaited object goes"

// It can spoil what this spell awaits. It must not see what is not the spell's.
const gains = [];
const seen = [];
Object.defineProperty(Object.prototype, "then", {
  configurable: true,
  get() {
    seen[seen.length] = this;
    return undefined;
  },
});
const answer = await llm.models();
await llm.models(Symbol()).catch(() => 0);
for await (const _ of (async function* () { yield {}; })());
await util.sleep(1);
for (const object of seen) {
  if (typeof object === "function" || object === globalThis) gains.push("a function of the host");
  for (const key of Reflect.ownKeys(object)) {
    if (/^(host|calls|resolve|reject|reply|fault|callback)$/.test(String(key))) {
      gains.push(`an inner object with ${String(key)}`);
    }
  }
}
if (typeof answer.models !== "object") gains.push("the answer was replaced");
return gains;
