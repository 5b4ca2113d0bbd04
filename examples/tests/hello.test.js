// llmspell-supervisor test examples/tests/hello.test.js
spell("../hello.js");

test("greets the world when nobody is named", async () => {
  const report = await runSpell();
  expect(report.verdict).toBe("ok");
  expect(report.output).toEqual("Hello, world!\n");
});

test("greets by name", async () => {
  const report = await runSpell({params: {name: "Ada"}});
  expect(report.output).toEqual("Hello, Ada!\n");
});
