// id = "J12"
// title = "getters and proxies that change while values are converted"

const gains = [];
const encode = (name, value) => {
  try {
    const text = json.encode(value);
    try { JSON.parse(text); } catch { gains.push(`${name}: half a value: ${text.slice(0, 80)}`); }
    return text;
  } catch { return null; }
};

// Each thing is read once, and what was checked is what leaves.
const reads = {};
const once = {};
for (const key of ["a", "b", "c"]) {
  Object.defineProperty(once, key, {
    enumerable: true,
    get() {
      reads[key] = (reads[key] ?? 0) + 1;
      return reads[key] === 1 ? 1 : () => "a function";
    },
  });
}
if (encode("once", once) !== '{"a":1,"b":1,"c":1}') gains.push("a getter was read twice");

let turn = 0;
const shapes = [1, "text", [1], { a: 1 }, null, undefined, 2n, () => 1, Symbol("x"), new Date(0),
  new Uint8Array(3), NaN];
const fickle = new Proxy({}, {
  get: () => shapes[turn++ % shapes.length],
  ownKeys: () => turn++ % 2 ? ["a", "b"] : ["a", "__proto__", "constructor"],
  getOwnPropertyDescriptor: () => ({ value: shapes[turn++ % shapes.length], enumerable: turn % 3 > 0,
    configurable: true }),
  getPrototypeOf: () => turn++ % 2 ? null : Array.prototype,
  has: () => turn++ % 2 > 0,
});
for (let i = 0; i < 300; i++) encode("fickle", { fickle, list: [fickle, fickle] });

const list = [1, 2, 3];
Object.defineProperty(list, 1, { enumerable: true, configurable: true, get() {
  list.length = 1;
  list.push(...new Array(50).fill("grown"));
  return "read";
} });
encode("a list that grows", list);
const shrinking = [1, 2, 3, 4];
Object.defineProperty(shrinking, 0, { get() { shrinking.length = 0; return 1; } });
encode("a list that shrinks", shrinking);
const bytes = new Uint8Array(new ArrayBuffer(64, { maxByteLength: 128 }));
encode("bytes that go", { get a() { bytes.buffer.resize(0); return 1; }, bytes });
encode("bytes that are gone", { get a() { bytes.buffer.transfer(); return 1; }, bytes });
const map = { get a() { delete map.b; map.c = map; return 1; }, b: 1 };
encode("a map that becomes a cycle", map);
for (const tag of ["Date", "Map", "Error", "Uint8Array", "Promise", "Object"]) {
  const liar = Object.create({ [Symbol.toStringTag]: tag });
  liar.a = 1;
  encode(`a false ${tag}`, liar);
  encode(`a fickle ${tag}`, Object.create({ get [Symbol.toStringTag]() {
    turn++;
    return turn % 2 ? tag : {};
  } }));
}

// A trap that throws what it likes is an error like any other.
for (const raise of [() => { throw null; }, () => { throw { kind: "Policy" }; },
  () => { throw new Proxy({}, { get() { throw 1; } }); }, () => { const f = () => f(); f(); }]) {
  const handler = { get: raise, ownKeys: raise, getPrototypeOf: raise, has: raise,
    getOwnPropertyDescriptor: raise };
  encode("a proxy that throws", new Proxy({}, handler));
  encode("a list that throws", new Proxy([], handler));
  console.log(new Proxy({}, handler), new Proxy([1], handler), [new Proxy({}, handler)]);
  await llm.models(new Proxy({}, handler)).catch(() => 0);
}
return gains;
