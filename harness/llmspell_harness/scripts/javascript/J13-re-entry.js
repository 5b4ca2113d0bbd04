// id = "J13"
// title = "calls of the host from inside of a conversion"

const gains = [];
let depth = 0;
const reenter = () => {
  if (++depth > 50) return depth;
  const inner = json.encode({ again: { get a() { return reenter(); } } });
  console.log({ get a() { return inner; } });
  llm.models({ get a() { return inner; } }).catch(() => 0);
  return inner.length;
};
const hostile = { get a() { return reenter(); }, b: [1, 2] };
const text = json.encode(hostile);
if (!/^\{"a":\d+,"b":\[1,2\]\}$/.test(text)) gains.push(`json.encode gave ${text.slice(0, 80)}`);

// What JSON and coercion would call must not be called at all.
const called = new Set();
const trap = (name) => () => { called.add(name); return 1; };
const object = { a: 1 };
for (const key of ["toJSON", "valueOf", "toString", "then", Symbol.toPrimitive, Symbol.iterator,
  Symbol.asyncIterator]) {
  Object.defineProperty(object, key, { value: trap(String(key)) });
}
const list = Object.defineProperty([1], "toJSON", { value: trap("a list's toJSON") });
Date.prototype.toJSON = trap("Date's toJSON");
BigInt.prototype.toJSON = trap("BigInt's toJSON");
String.prototype.toJSON = trap("String's toJSON");
Object.prototype.toJSON = trap("Object's toJSON");
Array.prototype[Symbol.iterator] = trap("a list's iterator");
if (json.encode([object, list, new Date(0), "x"]) !== '[{"a":1},[1],"1970-01-01T00:00:00.000Z","x"]') {
  gains.push("json.encode gave something else");
}
await llm.models({ object, list, big: 2n }).catch(() => 0);
for (const name of called) gains.push(`${name} was called`);

// Deadlocks: a getter that waits, a getter that throws away what it is part of.
const waits = { get a() { return util.sleep(1000); } };
try { json.encode(waits); gains.push("a promise became JSON"); } catch { /* refused */ }
return gains;
