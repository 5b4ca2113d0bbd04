// Text for the console: strings as they are, the rest as compact JSON with words for what JSON
// has no word for. Never throws: a hostile getter is shown as such.
const SHOWN_DEPTH = 8;  // deeper than a person reads
const SHOWN_ITEMS = 1000;  // of one container

const showAll = (values, brackets) => {
  let text = brackets[0];
  for (let i = 0; i < values.length; i++) text += (i ? "," : "") + values[i];
  return text + brackets[1];
};

const showArray = (value, around) => {
  const parts = list(), length = value.length;
  for (let i = 0; i < length && i < SHOWN_ITEMS; i++) {
    append(parts, hasOwn(value, i) ? show(value[i], around) : "null");
  }
  if (length > SHOWN_ITEMS) append(parts, `... ${length - SHOWN_ITEMS} more`);
  return showAll(parts, "[]");
};

const showMap = (value, around) => {
  const parts = list(), names = keys(value);
  for (let i = 0; i < names.length && i < SHOWN_ITEMS; i++) {
    append(parts, `${stringify(names[i])}:${show(value[names[i]], around)}`);
  }
  if (names.length > SHOWN_ITEMS) append(parts, `... ${names.length - SHOWN_ITEMS} more`);
  return showAll(parts, "{}");
};

const showError = (error) => {
  const name = StringOf(error.name), message = StringOf(error.message);
  return message === "" ? name : `${name}: ${message}`;
};

const showSpecial = (value, around) => {
  const typed = apply(typedArrayTag, value, []);
  if (typed !== undefined) return `${typed} ${showArray(value, around)}`;
  const tag = apply(tagOf, value, []);
  if (tag === "[object Error]") return showError(value);
  if (tag === "[object Date]") return apply(dateText, value, []);
  if (tag === "[object RegExp]") return `/${value.source}/${value.flags}`;
  const parts = list();
  if (tag === "[object Map]") {
    apply(mapForEach, value, [(v, k) => append(parts, `${show(k, around)}=>${show(v, around)}`)]);
    return `Map ${showAll(parts, "{}")}`;
  }
  if (tag === "[object Set]") {
    apply(setForEach, value, [(v) => append(parts, show(v, around))]);
    return `Set ${showAll(parts, "{}")}`;
  }
  return HINTS[tag] === undefined ? showMap(value, around) : `[${apply(slice, tag, [8, -1])}]`;
};

const showObject = (value, around) => {
  for (let i = 0; i < around.length; i++) if (around[i] === value) return "[Circular]";
  if (around.length >= SHOWN_DEPTH) return isArray(value) ? "[...]" : "{...}";
  append(around, value);
  try {
    if (isArray(value)) return showArray(value, around);
    const proto = getPrototypeOf(value);
    return proto === objectPrototype || proto === null
      ? showMap(value, around) : showSpecial(value, around);
  } finally {
    around.length -= 1;
  }
};

const show = (value, around) => {
  switch (typeof value) {
    case "string": return stringify(value);
    case "bigint": return `${value}n`;
    case "symbol": return apply(symbolText, value, []);
    case "function": return "[Function]";
    case "object":
      if (value === null) return "null";
      if (textOf(value) !== value) return stringify(textOf(value));
      try {
        return showObject(value, around);
      } catch {
        return "[unreadable]";
      }
    default: return StringOf(value);
  }
};

const text = (value) => {
  const plain = textOf(value);
  return typeof plain === "string" ? plain : show(plain, list());
};
