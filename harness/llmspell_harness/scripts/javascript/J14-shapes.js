// id = "J14"
// title = "values that contain themselves, or go on and on"

const gains = [];
const refused = async (name, value) => {
  for (const call of [() => json.encode(value), () => llm.models(value), () => util.hash(value)]) {
    try {
      await call();
      gains.push(`${name} was converted`);
    } catch (error) {
      if (error.kind !== "Conversion") gains.push(`${name}: ${String(error).slice(0, 100)}`);
    }
  }
  console.log(value);
};
const nested = (count, wrap) => {
  let value = wrap(null);
  for (let i = 0; i < count; i++) value = wrap(value);
  return value;
};
const self = {};
self.self = { list: [self] };
await refused("a cycle", self);
const list = [];
list.push([list]);
await refused("a list in itself", list);
const map = new Map();
map.set(map, map);
await refused("a map in itself", { map });
await refused("ten thousand lists", nested(10000, (v) => [v]));
await refused("ten thousand objects", nested(10000, (v) => ({ v })));
await refused("both", nested(10000, (v) => [{ v }]));
const deeper = () => ({ get next() { return deeper(); } });
await refused("a getter that always goes deeper", deeper());
const endless = () => new Proxy([1], {
  get: (_, key) => key === "length" ? 1 : endless(),
});
await refused("a proxy that always goes deeper", endless());
return gains;
