// id = "J18"
// title = "numbers that have no place in a message"

const gains = [];
const refused = (name, value) => {
  try {
    gains.push(`${name} became ${json.encode({ a: [value] }).slice(0, 50)}`);
  } catch (error) {
    if (error.kind !== "Conversion") gains.push(`${name}: ${error}`);
  }
};
const same = (name, value, text) => {
  const made = json.encode([value]);
  if (made !== `[${text}]`) gains.push(`${name} became ${made}`);
};
refused("2^70000", 2n ** 70000n);
refused("2^63", 2n ** 63n);
refused("-2^63-1", -(2n ** 63n) - 1n);
refused("NaN", NaN);
refused("infinity", Infinity);
refused("minus infinity", -Infinity);
refused("a boxed number", Object(1));
refused("a boxed bigint", Object(1n));
same("2^63-1", 2n ** 63n - 1n, "9223372036854775807");
same("-2^63", -(2n ** 63n), "-9223372036854775808");
same("2^53+1", 2n ** 53n + 1n, "9007199254740993");
same("minus zero", -0, "0");
same("a safe integer", Number.MAX_SAFE_INTEGER, "9007199254740991");

// What comes in is not rounded in silence.
const [big] = json.decode("[9007199254740993]");
if (big !== 9007199254740993n) gains.push(`2^53+1 came in as ${typeof big} ${big}`);
for (const text of ["9223372036854775808", "1e400", "-1e400", "NaN", "9".repeat(5000)]) {
  try {
    const value = json.decode(text);
    if (typeof value === "number" && !Number.isFinite(value)) gains.push(`${text} came in as ${value}`);
  } catch { /* refused */ }
}
// As identities: what a timer or a call is known by is a number of the prelude's own.
for (const id of [2 ** 53, -1, NaN, 1n, "1", { valueOf: () => 1 }, "__proto__", -0]) {
  clearTimeout(id);
  clearInterval(id);
}
for (const delay of [NaN, Infinity, -1, 2 ** 53, "1", { valueOf: () => 1 }]) {
  clearTimeout(setTimeout(() => gains.push(`a timer of ${delay}`), delay));
}
return gains;
