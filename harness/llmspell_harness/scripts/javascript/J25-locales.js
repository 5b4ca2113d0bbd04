// id = "J25"
// title = "bombs of locales, calendars and digits"

const gains = [];
const attempt = (name, way, most = 1000000) => {
  try {
    const text = String(way());
    if (text.length > most) gains.push(`${name} gave ${text.length} characters`);
  } catch (error) {
    if (!/Range|Type|memory|Internal|Syntax/.test(String(error))) gains.push(`${name}: ${error}`);
  }
};
attempt("digits", () => (1 / 3).toLocaleString("en", { minimumFractionDigits: 100 }));
attempt("too many digits", () => (1 / 3).toLocaleString("en", { minimumFractionDigits: 1e9 }));
attempt("integer digits", () => (1).toLocaleString("en", { minimumIntegerDigits: 21 }));
attempt("toFixed", () => (1e20).toFixed(100));
attempt("toPrecision", () => Number.MAX_VALUE.toPrecision(100));
attempt("toString", () => Number.MIN_VALUE.toString(2));
attempt("a long bigint", () => (10n ** 2000n).toLocaleString("ar-EG"));
attempt("a long tag", () => new Intl.Locale(`en-${"abcdefgh-".repeat(10000)}x`));
attempt("a private tag", () => new Intl.Locale(`x-${"a-".repeat(5000)}a`).maximize(), 100000);
attempt("many locales", () => new Intl.NumberFormat(new Array(1000).fill("de-CH")).format(1));
attempt("years", () => new Date(8.64e15).toLocaleString("fa-IR-u-ca-persian", { dateStyle: "full" }));
attempt("no year", () => new Date(NaN).toLocaleString());
attempt("zones", () => new Date(0).toLocaleString("en", { timeZone: "../../etc/passwd" }));
attempt("a zone with NUL", () => new Date(0).toLocaleString("en", { timeZone: "UTC\0" }));
attempt("a long zone", () => new Date(0).toLocaleString("en", { timeZone: "A".repeat(2 ** 20) }));
attempt("a date to parse", () => Date.parse("(".repeat(2 ** 20)));
attempt("a long date", () => Date.parse(`1 ${"1".repeat(2 ** 20)}`));
attempt("lists", () => new Intl.ListFormat("en").format(new Array(5000).fill("x")));
attempt("comparison", () => "a\u0301".repeat(50000).localeCompare("\u00e1".repeat(50000)));
attempt("normal forms", () => "\ufdfa".repeat(1000).normalize("NFKD"));
attempt("upper case", () => "\u0390".repeat(10000).toLocaleUpperCase("lt"));
attempt("lower case", () => "\u0130".repeat(10000).toLocaleLowerCase("tr"));
attempt("segments", () => [...new Intl.Segmenter("th").segment("\u0e01".repeat(2000))].length);
attempt("names", () => new Intl.DisplayNames("en", { type: "region" }).of("ZZ"));
attempt("plurals", () => new Intl.PluralRules("ar").select(1e308));
attempt("relative", () => new Intl.RelativeTimeFormat("en").format(Number.MAX_VALUE, "year"));
attempt("ranges", () => new Intl.DateTimeFormat("ja-u-ca-japanese").formatRange(0, 8.64e15));
attempt("parts", () => new Intl.NumberFormat("bn").formatToParts(10n ** 300n).length);
attempt("hostile options", () => new Intl.DateTimeFormat("en", new Proxy({}, { get() { throw new TypeError(); } })));
const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
if (!/^(UTC|Etc\/UTC|GMT|Etc\/GMT|Etc\/Unknown)$/.test(zone)) gains.push(`the zone of the host: ${zone}`);
return gains;
