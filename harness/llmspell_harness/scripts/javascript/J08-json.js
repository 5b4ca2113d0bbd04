// id = "J08"
// title = "JSON that nests or grows without an end"
// expect = ["ok", "memory_limit"]
// policy = {memory = 100663296}

const gains = [];
const bomb = (name, make) => {
  try {
    const made = make();
    gains.push(`${name} gave ${String(made).slice(0, 50)}`);
  } catch { /* recursion or memory; a crash is seen by the host */ }
};
const deep = (count) => {
  let value = [];
  for (let i = 0; i < count; i++) value = i % 2 ? [value] : { value };
  return value;
};
bomb("brackets", () => JSON.parse("[".repeat(200000)));
bomb("decoded brackets", () => json.decode("[".repeat(200000)));
bomb("decoded pairs", () => json.decode("[".repeat(200000) + "]".repeat(200000)));
bomb("decoded objects", () => json.decode('{"a":'.repeat(100000) + "1" + "}".repeat(100000)));
bomb("a deep value", () => JSON.stringify(deep(200000)).length);
bomb("an encoded deep value", () => json.encode(deep(200000)).length);
bomb("toJSON that grows", () => {
  const again = { toJSON: () => [again, again] };
  return JSON.stringify(again).length;
});
bomb("toJSON that nests", () => {
  const again = { toJSON() { return { again }; } };
  return JSON.stringify(again).length;
});
bomb("a replacer that grows", () => JSON.stringify([1], (_, value) => [value, value]).length);
bomb("a reviver that grows", () => {
  JSON.parse("[1,2,3]", function (key, value) {
    if (Array.isArray(this)) this.push([[1], [2]], [3]);
    this.length = 2 ** 32 - 1;
    if (key > 10000) throw new Error("enough");
    return value;
  });
});
bomb("indentation", () => JSON.stringify(deep(2000), null, 10).repeat(1000).length);
bomb("one text many times over", () => JSON.stringify(new Array(1000).fill("x".repeat(2 ** 18))).length);
bomb("escapes", () => JSON.stringify("\u0001".repeat(2 ** 26)).length);
bomb("numbers", () => json.decode(`[${"9".repeat(400)}]`));
bomb("a long exponent", () => json.decode(`1e${"9".repeat(1000)}`));
return gains;
