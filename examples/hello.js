// llmspell-supervisor run examples/hello.js --param name=Ada
const name = params.name ?? "world";
console.log(`Hello, ${name}!`);
