// llmspell-supervisor test examples/tests/robust-llm.test.js
// What the model answers is scripted; the pauses between attempts are over at once.
spell("../robust-llm.js");

const BUSY = {status: 429, message: "slow down"};

describe("a model that is busy", () => {
  test("is asked again", async () => {
    model.script(BUSY, "Machines that learn");
    const report = await runSpell({speed: 1000});
    expect(report.output).toContain("Attempt 1 failed");
    expect(report.output).toContain("Success: Machines that learn");
    expect(report.calls).toHaveLength(2);
  });

  test("is given up after three attempts", async () => {
    model.script(BUSY, BUSY, BUSY);
    const report = await runSpell({speed: 1000});
    expect(report.verdict).toBe("script_error");
    expect(report.problem.message).toContain("Failed after 3 attempts");
    expect(report.calls).toHaveLength(3);
  });
});

test("a model that answers is asked once, and for what the spell wants to know", async () => {
  model.script("Machines that learn");
  await runSpell();
  const requests = await model.requests();
  expect(requests).toHaveLength(1);
  expect(requests[0].messages[0].content).toBe("Explain machine learning");
});
