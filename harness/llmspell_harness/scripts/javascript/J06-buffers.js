// id = "J06"
// title = "buffers, arrays and text of gigabytes, caught"
// expect = ["ok", "memory_limit"]
// policy = {memory = 100663296}

const gains = [];
const bomb = (name, make) => {
  try {
    const made = make();
    gains.push(`${name} gave ${String(made).slice(0, 50)}`);
  } catch (error) {
    const words = String(error);
    if (!/out of memory|allocat|Range|too large|invalid|InternalError/i.test(words)) {
      gains.push(`${name}: ${words.slice(0, 200)}`);
    }
  }
};
const filled = (bytes) => {
  bytes.fill(1);
  return `${bytes.length} bytes`;
};
bomb("400 MB", () => filled(new Uint8Array(4e8)));
bomb("8 GB", () => filled(new Uint8Array(8e9)));
bomb("2^53 bytes", () => filled(new Uint8Array(2 ** 53)));
bomb("doubles", () => filled(new Float64Array(5e7)));
bomb("a buffer", () => filled(new Uint8Array(new ArrayBuffer(4e8))));
bomb("a growing buffer", () => {
  const buffer = new ArrayBuffer(8, { maxByteLength: 4e8 });
  buffer.resize(4e8);
  return filled(new Uint8Array(buffer));
});
bomb("a moving buffer", () => filled(new Uint8Array(new ArrayBuffer(8).transfer(4e8))));
bomb("from a length", () => filled(Uint8Array.from({ length: 4e8 })));
bomb("a list of 1e9", () => new Array(1e9).fill(1).length);
bomb("a flat rope", () => {
  const text = "x".repeat(2 ** 29);
  return text.charCodeAt(text.length - 1) && text.replace("x", "y").length;
});
bomb("beyond the longest text", () => "x".repeat(2 ** 30).length);
bomb("padding", () => "x".padStart(2 ** 29, "ab").toUpperCase().length);
bomb("joined", () => new Array(2 ** 28).join("xxxx").length);
bomb("doubling", () => {
  let text = "ab";
  for (;;) text = (text + text).toUpperCase();
});
bomb("replaced", () => "x".repeat(2 ** 16).replaceAll("x", "y".repeat(2 ** 16)).length);
bomb("replaced by itself", () => "x".repeat(2 ** 20).replace(/x+/, "$&".repeat(2 ** 10)).length);
bomb("split", () => "x".repeat(2 ** 26).split("").length);
bomb("wide", () => "\u{1f600}".repeat(2 ** 26).normalize("NFD").length);
bomb("bits", () => (1n << 1000000000n) > 0n);
bomb("power", () => 2n ** 8000000000n);
bomb("base64", () => new Uint8Array(2 ** 25).toBase64().repeat(8).length);
bomb("hexadecimal", () => new Uint8Array(2 ** 26).toHex().length);
return gains;
