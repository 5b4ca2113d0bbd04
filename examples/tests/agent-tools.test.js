// llmspell-supervisor test examples/tests/agent-tools.test.js
// The agent is real, and so are its tools; what the model wants of them is scripted.
spell("../agent-tools.js");

beforeEach(() => {
  model.script(
    {tool: "in_stock", arguments: {animal: "owl"}},
    {tool: "sell", arguments: {animal: "owl"}},
    "One owl, as you wished.",
  );
});

test("an owl is looked up and sold", async () => {
  const report = await runSpell();
  expect(report.output).toEqual('in_stock said 3\nsell said {"left":2}\nOne owl, as you wished.\n');
  expect(report.value.owls).toBe(2);
});

test("the wish of the customer is what the model is asked", async () => {
  await runSpell({params: {wish: "A small owl"}});
  const asked = (await model.requests())[0].messages;
  expect(asked.at(-1)).toEqual({role: "user", content: "A small owl"});
});
