// id = "J23"
// title = "stacks of every kind, to their ends"
// policy = {memory = 536870912}

const gains = [];
const deep = (name, way) => {
  try {
    way();
  } catch (error) {
    if (!/recursion|memory|Range|complex|nest|deep|Syntax|Type|large|too many/i.test(String(error))) {
      gains.push(`${name}: ${String(error).slice(0, 100)}`);
    }
  }
};
const nested = (count, wrap, inner) => {
  for (let i = 0; i < count; i++) inner = wrap(inner);
  return inner;
};
deep("calls", () => { const f = () => 1 + f(); f(); });
deep("sort", () => { const f = () => [2, 1].sort(f); f(); });
deep("getters", () => { const o = { get x() { return o.x; } }; return o.x; });
deep("setters", () => { const o = { set x(v) { o.x = v; } }; o.x = 1; });
deep("proxies in proxies", () => nested(50000, (p) => new Proxy(p, {}), {}).x);
deep("prototypes", () => nested(20000, (p) => Object.create(p), {}).x);
deep("bound functions", () => nested(5000, (f) => f.bind(null), () => 1)());
deep("toString", () => { const o = { toString: () => `${o}` }; return `${o}`; });
deep("toPrimitive", () => { const o = { [Symbol.toPrimitive]: () => +o }; return +o; });
deep("lists as text", () => String(nested(50000, (l) => [l], [])));
deep("flat", () => nested(50000, (l) => [l], []).flat(Infinity));
deep("replace", () => { const f = () => "x".replace(/x/, f); f(); });
deep("yield*", () => { const g = function* () { yield* g(); }; [...g()]; });
deep("constructors", () => { class A { constructor() { this.a = new A(); } } new A(); });
deep("instanceof", () => {
  const o = { [Symbol.hasInstance]: () => ({} instanceof o) };
  return {} instanceof o;
});
deep("a proxy that is its own prototype", () => {
  const p = new Proxy({}, { getPrototypeOf: () => p, get: (t, k, r) => Reflect.get(Object.create(p), k, r) });
  return p.x;
});
deep("Function", () => { const f = () => Function("f", "return f()")(f); f(); });
deep("eval", () => { const f = () => (0, eval)("1") + f(); f(); });
deep("iterators", () => { const o = { [Symbol.iterator]() { return [...o]; } }; [...o]; });
deep("JSON", () => { const o = { toJSON: () => JSON.stringify(o) }; JSON.stringify(o); });
deep("host calls on the way down", () => {
  let depth = 0;
  const bottom = () => { depth++; bottom(); };
  try { bottom(); } catch { /* now it is known */ }
  let at = 0;
  const f = () => {
    if (++at > depth * 0.6 && at % 50 === 0 && json.encode([at]) !== `[${at}]`) gains.push("another value");
    f();
  };
  f();
});
for (const [name, source] of Object.entries({
  parentheses: "(".repeat(100000), lists: "[".repeat(100000), blocks: "{".repeat(100000),
  functions: "()=>".repeat(50000), templates: "`${".repeat(50000), unary: `${"- ".repeat(100000)}1`,
  ternaries: `${"1?".repeat(50000)}`, calls: `x${"()".repeat(50000)}`, members: `x${".a".repeat(100000)}`,
  optional: `x${"?.a".repeat(50000)}`, sums: `1${"+1".repeat(100000)}`, powers: `2${"**2".repeat(50000)}`,
  patterns: `let ${"[".repeat(50000)}`, classes: "class extends ".repeat(20000),
  arrows: `${"a=>".repeat(20000)}1`, ifs: "if(1)".repeat(50000), names: "x".repeat(2 ** 20),
  generators: "function*g(){yield*".repeat(5000), comments: "/*".repeat(2 ** 18), escapes: "\\u{".repeat(2 ** 16),
  many: `let ${Array.from({ length: 70000 }, (_, i) => `v${i}`)}`,
  parameters: `(${Array.from({ length: 70000 }, (_, i) => `v${i}`)}) => 1`,
  numbers: `${"9".repeat(20000)}n`,
})) {
  deep(`the parser, ${name}`, () => new Function(source));
}
for (const [name, source] of Object.entries({
  groups: "(".repeat(50000) + ")".repeat(50000), lookaheads: `${"(?=".repeat(20000)}`,
  quantifiers: "(?:a{1000}){1000}".repeat(3), classes: "[".repeat(50000), captures: "(a)".repeat(40000),
  "named captures": Array.from({ length: 5000 }, (_, i) => `(?<n${i}>a)`).join(""),
  alternatives: "a|".repeat(20000), references: "(a)\\9999999", sets: "[[[a]--[b]]&&[c]]".repeat(1000),
})) {
  deep(`an expression of ${name}`, () => new RegExp(source).test("a".repeat(1000)));
  deep(`an expression of ${name}, v`, () => new RegExp(source, "v").test("a".repeat(1000)));
}
let rope = "a";
for (let i = 0; i < 50000; i++) rope = i % 2 ? `${rope}b` : `c${rope}`;
deep("a deep rope", () => rope.charCodeAt(5));
deep("a long chain of promises", () => { nested(20000, (p) => p.then((x) => x), Promise.resolve(1)); });
deep("a long list of links", () => nested(100000, (link) => ({ link }), null));
if (json.encode([1]) !== "[1]") gains.push("host calls no longer work");
return gains;
