// id = "J20"
// title = "what is no value, as a value"

const gains = [];
const detached = new Uint8Array(8);
detached.buffer.transfer();
const { proxy: revoked, revoke } = Proxy.revocable({}, {});
const { proxy: revokedList, revoke: revokeList } = Proxy.revocable([], {});
revoke();
revokeList();
const things = {
  symbol: Symbol("x"), function: () => 1, class: class {}, "invalid date": new Date(NaN),
  WeakRef: new WeakRef({}), WeakMap: new WeakMap(), Map: new Map(), Set: new Set(), revoked, revokedList,
  promise: Promise.resolve(1), error: new Error("x"), RegExp: /x/, boxed: new String("x"),
  ArrayBuffer: new ArrayBuffer(8), DataView: new DataView(new ArrayBuffer(8)),
  floats: new Float64Array(2), bigints: new BigInt64Array(2), generator: (function* () {})(),
  "a host function": llm.models, "the prototype of typed arrays": Object.getPrototypeOf(Uint8Array.prototype),
};
for (const [name, thing] of Object.entries(things)) {
  for (const value of [thing, [thing], { a: { thing } }]) {
    try {
      const text = json.encode(value);
      if (!/^[[{"]/.test(text) || name !== "the prototype of typed arrays") gains.push(`${name} became ${text}`);
    } catch (error) {
      if (error.kind !== "Conversion") gains.push(`${name}: ${error}`);
    }
    console.log(value);
    await llm.models(value).then(() => gains.push(`${name} was taken`), () => 0);
  }
}
for (const value of [detached, { detached }]) {
  try { json.encode(value); gains.push("a detached buffer was read"); } catch { /* refused */ }
}
return gains;
