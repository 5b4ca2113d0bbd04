// id = "J19"
// title = "text that is none, in every place that takes text"
// policy = {max_output = 16777216}

const gains = [];
const HOSTILE = ["\ud800", "\udc00x", "a\ud83d", "\0", "a\0b", "\u202etxt", "\u2066", "\ufffe", "\uffff",
  "\u{10ffff}", "\x1b]52;c;AAAA\x07", "\x1b[2J", "\r", "\u2028", "\0s", "\0b", "\0i9", "\0f1", "\0x"];
for (const text of HOSTILE) {
  const name = JSON.stringify(text);
  for (const value of [text, [text], { [text]: 1 }, { a: { [text]: text } }]) {
    try {
      const made = json.encode(value);
      if (!text.isWellFormed()) gains.push(`${name} became JSON`);
      else if (JSON.stringify(JSON.parse(made)) !== JSON.stringify(value)) gains.push(`${name} is another`);
      else if (JSON.stringify(json.decode(made)) !== JSON.stringify(value)) gains.push(`${name} came back as another`);
    } catch (error) {
      if (text.isWellFormed() || error.kind !== "Conversion") gains.push(`${name}: ${error}`);
    }
  }
  console.log(text, { [text]: [text] });
  console.error(text);
  for (const use of [() => json.decode(text), () => util.hash(text), () => util.base64Decode(text),
    () => util.hash("x", text), () => new Function(text), () => { throw new Error(text); }]) {
    try { use(); } catch { /* refused */ }
  }
  for (const call of [() => llm.models(text), () => llm.models({ [text]: 1 })]) {
    await call().then(() => gains.push(`${name} was taken`), () => 0);
  }
  if (env[text] !== undefined) gains.push("a variable of that name");
}
const long = "x".repeat(2 ** 20);
try { json.encode(long.repeat(128)); gains.push("128 MB crossed"); } catch { /* refused */ }
try { json.encode({ [long]: NaN }); } catch (error) {
  if (error.message.length > 1000) gains.push("an error as long as its cause");
}
console.log(long);
return gains;
