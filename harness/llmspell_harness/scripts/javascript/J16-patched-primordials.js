// id = "J16"
// title = "every built-in function patched before the host's side uses it"

const gains = [];
const { apply, ownKeys } = Reflect, { getOwnPropertyDescriptor, defineProperty } = Object;
const models = llm.models, encode = json.encode, decode = json.decode, log = console.log;
const hash = util.hash, sleep = util.sleep, { clamp, sum } = math, timer = setTimeout;
const before = encode(await models());

let hijacked = [], armed = false;
const names = ["Object", "Array", "Function", "String", "Number", "Boolean", "Symbol", "BigInt", "Math",
  "JSON", "Reflect", "Promise", "Map", "Set", "WeakMap", "WeakSet", "WeakRef", "RegExp", "Date",
  "Error", "TypeError", "RangeError", "Proxy", "Uint8Array", "ArrayBuffer", "DataView", "Intl", "Iterator"];
const holders = [];
for (const name of names) {
  holders.push([name, globalThis[name]]);
  if (globalThis[name].prototype) holders.push([`${name}.prototype`, globalThis[name].prototype]);
}
holders.push(["TypedArray", Object.getPrototypeOf(Uint8Array)],
  ["TypedArray.prototype", Object.getPrototypeOf(Uint8Array.prototype)],
  ["an array's iterator", Object.getPrototypeOf([][Symbol.iterator]())],
  ["a map's iterator", Object.getPrototypeOf(new Map()[Symbol.iterator]())],
  ["a text's iterator", Object.getPrototypeOf(""[Symbol.iterator]())],
  ["AsyncFunction.prototype", Object.getPrototypeOf(async () => {})],
  ["Generator.prototype", Object.getPrototypeOf(function* () {}).prototype]);
const patches = [];
for (const [name, holder] of holders) {
  for (const key of ownKeys(holder)) {
    const found = getOwnPropertyDescriptor(holder, key);
    if (!found.configurable) continue;
    const where = `${name}.${String(key)}`;
    for (const part of ["value", "get", "set"]) {
      const original = found[part];
      if (typeof original !== "function" || key === "constructor") continue;
      const patched = function (...args) {
        if (armed) hijacked[hijacked.length] = where;
        return new.target ? new original(...args) : apply(original, this, args);
      };
      if (original.prototype) patched.prototype = original.prototype;
      patches[patches.length] = [holder, key, { ...found, [part]: patched }];
    }
  }
}
// The last thing done with built-ins that can be trusted; from here on all of them are ours.
for (let i = 0; i < patches.length; i++) {
  try { defineProperty(patches[i][0], patches[i][1], patches[i][2]); } catch { /* frozen */ }
}
for (let i = 0; i < names.length; i++) {
  const original = globalThis[names[i]];
  if (typeof original !== "function") continue;
  globalThis[names[i]] = function (...args) {
    if (armed) hijacked[hijacked.length] = `new ${names[i]}`;
    return new original(...args);
  };
}

const probe = (use) => {
  armed = true;
  try { return use(); } finally { armed = false; }
};
const text = probe(() => encode([1, "x", { a: 2n }, null]));
if (text !== '[1,"x",{"a":2},null]') gains[gains.length] = `json.encode gave ${text}`;
probe(() => decode('{"a":[1,"\\u0000b",9007199254740993]}'));
probe(() => log("text", [1, { a: 1 }], null, 1.5));
probe(() => hash("x"));
probe(() => clamp(1, 2, 3) + sum([1, 2]));
probe(() => { try { encode({ "a key": { b: () => 1 } }); } catch { /* refused */ } });
probe(() => { try { decode("{"); } catch { /* refused */ } });
probe(() => { try { hash(); } catch { /* refused */ } });
const promise = probe(() => models());
try { await probe(() => models(() => 1)); } catch { /* refused */ }
probe(() => { timer(() => {}, 1); });
const slept = probe(() => sleep(1));
await slept;
armed = true; // while the host answers
const answer = await promise;
armed = false;
if (encode(answer) !== before) gains[gains.length] = "a bridge gave another answer";
for (let i = 0; i < hijacked.length && i < 20; i++) {
  gains[gains.length] = `the host's side called our ${hijacked[i]}`;
}
return gains;
