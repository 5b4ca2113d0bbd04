// id = "J07"
// title = "lists that are mostly length"

const gains = [];
const refused = (name, make) => {
  try {
    json.encode(make());
    gains.push(`${name} was converted`);
  } catch (error) {
    if (error.kind !== "Conversion" && !/memory|Range|Internal|invalid|large/i.test(String(error))) {
      gains.push(`${name}: ${String(error).slice(0, 200)}`);
    }
  }
};
const lengthOf = (length) => {
  const list = [];
  list.length = length;
  return list;
};
const claims = (length) => new Proxy([1, 2, 3], {
  get: (list, key) => key === "length" ? length : list[key],
});
const began = Date.now();
refused("a sparse list", () => lengthOf(4294967295));
refused("a sparse list deep down", () => ({ a: [[lengthOf(4294967295)]] }));
refused("holes", () => lengthOf(1e9));
refused("one list many times over", () => {
  let list = new Array(1000).fill(0);
  for (let i = 0; i < 20; i++) list = [list, list, list, list];
  return list;
});
const keys = new Array(140000).fill(0).map((_, i) => `k${i}`);
refused("many keys", () => Object.fromEntries(keys.map((key) => [key, 1])));
refused("keys that a proxy makes up", () => new Proxy({}, {
  ownKeys: () => keys,
  getOwnPropertyDescriptor: () => ({ value: 1, enumerable: true, configurable: true }),
}));
// A length that lies: huge, negative to win back what was spent, no number at all.
refused("a proxy's length", () => claims(4294967295));
refused("a length of 2^53", () => claims(2 ** 53));
refused("an infinite length", () => claims(Infinity));
for (const [name, length] of Object.entries({
  "a negative length": -1e9, "no number": NaN, "half": 2.5, "a text": "3", "minus zero": -0,
  "an object": { valueOf: () => -1e9 }, "a long text": "9".repeat(1000), "a bigint": 3n,
  "nothing": undefined, "minus infinity": -Infinity,
})) {
  refused(`${name}, and then a long list`, () => [claims(length), new Array(140000).fill(0)]);
}
if (Date.now() - began > 10000) gains.push("it took too long");
return gains;
