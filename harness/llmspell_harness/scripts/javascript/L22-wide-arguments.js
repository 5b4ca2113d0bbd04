// id = "L22"
// title = "more arguments than a stack has slots"
// expect = ["ok", "memory_limit"]
// policy = {memory = 134217728}

const gains = [];
const must_fail = (name, way) => {
  try { gains.push(`${name} gave ${String(way()).slice(0, 50)}`); } catch { /* as it must */ }
};
const many = new Array(600000).fill(1);
must_fail("apply", () => Math.max.apply(null, many));
must_fail("spread", () => Math.max(...many));
must_fail("construct", () => Reflect.construct(Array, many).length);
must_fail("fromCharCode", () => String.fromCharCode(...many).length);
must_fail("push", () => [].push(...many));
must_fail("bind", () => Math.max.bind(null, ...many)());
must_fail("a host call", () => json.encode(...many));
must_fail("a length that lies", () => Math.max.apply(null, { length: 2 ** 32 }));
must_fail("a length beyond", () => Math.max.apply(null, { length: 2 ** 53 }));
must_fail("a buffer's end", () => new DataView(new ArrayBuffer(8)).getInt8(8));
must_fail("a buffer's far end", () => new DataView(new ArrayBuffer(8), 2 ** 53));
must_fail("set beyond", () => new Uint8Array(4).set([1], 4));
must_fail("an offset that is odd", () => new Uint16Array(new ArrayBuffer(8), 1));
must_fail("a code point beyond", () => String.fromCodePoint(0x110000));
must_fail("repeat", () => "x".repeat(-1));
must_fail("digits", () => (1).toFixed(101));
must_fail("a base", () => (1).toString(37));
must_fail("a normal form", () => "x".normalize("XX"));
await llm.models(...many.slice(0, 1000)).then(() => gains.push("a thousand arguments"), () => 0);

const equal = (name, found, expected) => {
  if (found !== expected) gains.push(`${name} gave ${found}`);
};
const buffer = new Uint8Array(8);
equal("a far index", buffer[2 ** 31], undefined);
equal("a negative index", buffer[-1], undefined);
equal("subarray", buffer.subarray(-100, 100).length, 8);
equal("slice", "text".slice(-(2 ** 53), 2 ** 53), "text");
equal("substr", "text".substr(2 ** 53, 2 ** 53), "");
equal("at", "text".at(-(2 ** 53)), undefined);
equal("copyWithin", buffer.copyWithin(2 ** 32, -(2 ** 32)).length, 8);
equal("splice", [1].splice(-(2 ** 53), 2 ** 53).length, 1);
equal("with a shrinking buffer", (() => {
  const shrinking = new Uint8Array(new ArrayBuffer(64, { maxByteLength: 64 })).fill(7);
  try {
    return shrinking.subarray({ valueOf() { shrinking.buffer.resize(8); return 16; } })[0];
  } catch { /* refused */ }
})(), undefined);
equal("sort with a detached buffer", (() => {
  const gone = new Uint8Array(64);
  gone.sort(() => { try { gone.buffer.transfer(); } catch { /* gone */ } return 1; });
  return gone.length;
})(), 0);
return gains;
