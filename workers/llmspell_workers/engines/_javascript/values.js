// Values to text and back. A value is walked once and copied, own enumerable properties only, so
// that getters and proxies cannot show one thing to the check and another to the encoder. What
// JSON cannot say is a string that starts with NUL: s text, b base64, i 64-bit integer, f float.
// A payload is "1" or "0" (are there such strings?) and then JSON.
const { reasons } = rules;
const cannot = (type) => reasons.type[0] + type + reasons.type[1];

const INT_MIN = -(2n ** 63n), INT_MAX = 2n ** 63n - 1n;

const HINTS = {
  __proto__: null,
  "[object Promise]": "a Promise cannot cross; is an await missing?",
  "[object Map]": "a Map cannot cross; see Object.fromEntries",
  "[object Set]": "a Set cannot cross; see Array.from",
  "[object WeakMap]": "a WeakMap cannot cross",
  "[object WeakSet]": "a WeakSet cannot cross",
  "[object WeakRef]": "a WeakRef cannot cross",
  "[object Error]": "an Error cannot cross; its message can",
  "[object RegExp]": "a RegExp cannot cross; its source can",
  "[object Number]": "a Number object cannot cross; a plain number can",
  "[object String]": "a String object cannot cross; a plain string can",
  "[object Boolean]": "a Boolean object cannot cross; a plain boolean can",
  "[object BigInt]": "a BigInt object cannot cross; a plain bigint can",
  "[object Symbol]": "a Symbol object cannot cross",
  "[object ArrayBuffer]": "an ArrayBuffer cannot cross; a Uint8Array can",
  "[object DataView]": "a DataView cannot cross; a Uint8Array can",
  "[object Generator]": "a generator cannot cross; see Array.from",
  "[object AsyncGenerator]": "an async generator cannot cross",
};

class ConversionRefused {
  reason; path;
  constructor(reason, path) {
    this.reason = reason;
    this.path = path;
  }
}

const NAME = setPrototypeOf(/^[A-Za-z_][A-Za-z0-9_]*$/, null);  // or its `test` asks for the `exec` of a spell
const PATH_KEY = 40;  // characters of a key in a path

const pathText = (walk, depth) => {
  let text = walk.root, first = 1;
  if (walk.root === "argument") text += ` ${walk.path[first++] + 1}`;
  for (let i = first; i < depth; i++) {
    const key = walk.path[i];
    if (typeof key === "number") text += `[${key}]`;
    else if (apply(matches, NAME, [key]) && key.length <= PATH_KEY) text += `.${key}`;
    else text += `[${stringify(apply(slice, key, [0, PATH_KEY]))}]`;
  }
  return text;
};

const refuse = (walk, depth, reason) => {
  // A whole argument list is nobody's value: too many of them is said without a place.
  const path = walk.root === "argument" && depth === 1 ? "$" : pathText(walk, depth);
  throw new ConversionRefused(path === "$" ? reason : `${reason} at ${path}`, path);
};

const add = (walk, depth, weight) => {
  walk.weight += weight;
  if (walk.weight > rules.weight) refuse(walk, depth, reasons.weight);
};

const enter = (walk, value, depth, weight) => {
  for (let i = 1; i < depth; i++) {
    if (walk.around[i] === value) refuse(walk, depth, reasons.cycle);
  }
  if (depth > rules.depth) refuse(walk, depth, reasons.depth);
  add(walk, depth, rules.container - 1 + weight);
  walk.around[depth] = value;
};

const LONGEST = 2 ** 26;  // characters: far over every frame, and too many to copy in passing

const copyText = (walk, value, depth) => {
  if (value.length > LONGEST) refuse(walk, depth, `${value.length} characters cannot cross`);
  if (!apply(isWellFormed, value, [])) refuse(walk, depth, reasons.text);
  add(walk, depth, rules.text - 1);
  if (value[0] !== "\0") return value;
  walk.marked = true;
  return `\0s${value}`;
};

const copyNumber = (walk, value, depth) => {
  if (isSafeInteger(value)) return value;
  if (!isFiniteNumber(value)) refuse(walk, depth, reasons.finite);
  if (!isInteger(value)) return value;
  walk.marked = true;
  return `\0f${value}`;
};

const copyBigInt = (walk, value, depth) => {
  if (value < INT_MIN || value > INT_MAX) refuse(walk, depth, reasons.range);
  walk.marked = true;
  return `\0i${value}`;
};

const copyArray = (walk, value, depth) => {
  const length = value.length;
  // A proxy answers what it likes: less than nothing would win back weight that was spent.
  if (!isSafeInteger(length) || length < 0) refuse(walk, depth, "a list without a length cannot cross");
  enter(walk, value, depth, length);
  const copied = list();
  for (let i = 0; i < length; i++) {
    walk.path[depth] = i;
    copied[i] = hasOwn(value, i) ? copy(walk, value[i], depth + 1) : null;
  }
  return copied;
};

const copyHandle = (walk, mark, number, depth) => {
  if (depth > rules.depth) refuse(walk, depth, reasons.depth);
  add(walk, depth, rules.container + rules.text);
  return { __proto__: null, [mark]: number };
};

const copyFunction = (walk, value, depth) => {
  if (!walk.crossing.functions) refuse(walk, depth, cannot("function"));
  const number = functionNumber(value);
  if (number === undefined) refuse(walk, depth, reasons.functions);
  return copyHandle(walk, "@function", number, depth);
};

const copyMap = (walk, value, depth) => {
  const names = keys(value);
  enter(walk, value, depth, (rules.text + 1) * names.length);
  const copied = { __proto__: null };
  for (let i = 0; i < names.length; i++) {
    const name = names[i];
    walk.path[depth] = name;
    if (!apply(isWellFormed, name, [])) refuse(walk, depth + 1, reasons.text);
    const item = value[name];
    if (item !== undefined) copied[name] = copy(walk, item, depth + 1);
  }
  return copied;
};

const copySpecial = (walk, value, depth) => {
  const typed = apply(typedArrayTag, value, []);
  if (typed === "Uint8Array") {
    add(walk, depth, rules.text - 1);
    walk.marked = true;
    return `\0b${apply(toBase64, value, [])}`;
  }
  if (typed !== undefined) refuse(walk, depth, `${cannot(typed)}; a Uint8Array or an array can`);
  const tag = apply(tagOf, value, []);
  if (tag === "[object Date]") {
    add(walk, depth, rules.text - 1);
    return apply(dateText, value, []);
  }
  if (HINTS[tag] !== undefined) refuse(walk, depth, HINTS[tag]);
  return copyMap(walk, value, depth);  // an instance of a class: its own properties
};

const copyObject = (walk, value, depth) => {
  const number = apply(weakGet, objectNumbers, [value]);
  if (number !== undefined) {
    if (!walk.crossing.objects) refuse(walk, depth, cannot("host object"));
    return copyHandle(walk, "@object", number, depth);
  }
  const answer = apply(weakGet, texts, [value]);
  if (answer !== undefined) {
    return walk.crossing.texts ? copyText(walk, answer, depth) : copyMap(walk, value, depth);
  }
  try {
    if (isArray(value)) return copyArray(walk, value, depth);
    const proto = getPrototypeOf(value);
    if (proto === objectPrototype || proto === null) return copyMap(walk, value, depth);
    return copySpecial(walk, value, depth);
  } catch (error) {
    // The engine's own refusals: an invalid Date, a detached buffer, a revoked Proxy.
    if (stackOf(error) !== undefined) {
      let text = "an object that cannot be read cannot cross";
      try { text = `${text} (${error.message})`; } catch { /* its message is a trap, too */ }
      refuse(walk, depth, text);
    }
    throw error;
  }
};

const copy = (walk, value, depth) => {
  switch (typeof value) {
    case "string": return copyText(walk, value, depth);
    case "number": return copyNumber(walk, value, depth);
    case "boolean": return value;
    case "bigint": return copyBigInt(walk, value, depth);
    case "undefined": return null;
    case "object": return value === null ? null : copyObject(walk, value, depth);
    case "function": return copyFunction(walk, value, depth);
    default: return refuse(walk, depth, cannot(typeof value));
  }
};

// What may cross besides data: `functions`, `objects`, and `texts` for answers as their text.
const DATA = freeze({ __proto__: null });
const TEXTS = freeze({ __proto__: null, texts: true });
const RETURNED = freeze({ __proto__: null, texts: true, objects: true });  // by a function

const pack = (value, root = "$", crossing = DATA) => {
  const walk = { weight: 1, marked: false, root, path: list(), around: list(), crossing };
  try {
    const text = stringify(copy(walk, value, 1));
    return (walk.marked ? "1" : "0") + text;
  } catch (error) {
    if (typeof error === "object" && error !== null && getPrototypeOf(error) === REFUSED) {
      const { reason: message, path: field } = error;
      throw bridgeError({ __proto__: null, kind: "Conversion", message, field });
    }
    throw error;
  }
};
const REFUSED = freeze(ConversionRefused.prototype);

const reviveText = (text) => {
  if (text[0] !== "\0") return text;
  const rest = apply(slice, text, [2]);
  switch (text[1]) {
    case "b": return apply(fromBase64, Uint8ArrayBase, [rest]);
    case "i": return BigIntOf(rest);
    default: return rest;
  }
};

const revive = (value) => {
  if (typeof value === "string") return reviveText(value);
  if (typeof value !== "object" || value === null) return value;
  const names = keys(value);
  for (let i = 0; i < names.length; i++) value[names[i]] = revive(value[names[i]]);
  return value;
};

const unpack = (payload) => {
  const value = parse(apply(slice, payload, [1]));
  return payload[0] === "1" ? revive(value) : value;
};
