-- llmspell-supervisor test examples/tests/agent-tools.test.lua
-- The agent is real, and so are its tools; what the model wants of them is scripted.
spell "../agent-tools.lua"

before_each(function()
  model.script(
    { tool = "in_stock", arguments = { animal = "owl" } },
    { tool = "sell", arguments = { animal = "owl" } },
    "One owl, as you wished."
  )
end)

test("an owl is looked up and sold", function()
  local report = run_spell()
  expect(report.output).to_equal('in_stock said 3\nsell said {"left":2}\nOne owl, as you wished.\n')
  expect(report.value.owls).to_be(2)
end)

test("the wish of the customer is what the model is asked", function()
  run_spell { params = { wish = "A small owl" } }
  local asked = model.requests()[1].messages
  expect(asked[#asked]).to_equal({ role = "user", content = "A small owl" })
end)
