-- llmspell-supervisor test examples/tests/robust-llm.test.lua
-- What the model answers is scripted; the pauses between attempts are over at once.
spell "../robust-llm.lua"

local BUSY = { status = 429, message = "slow down" }

describe("a model that is busy", function()
  test("is asked again", function()
    model.script(BUSY, "Machines that learn")
    local report = run_spell { speed = 1000 }
    expect(report.output).to_contain("Attempt 1 failed")
    expect(report.output).to_contain("Success: Machines that learn")
    expect(report.calls).to_have_length(2)
  end)

  test("is given up after three attempts", function()
    model.script(BUSY, BUSY, BUSY)
    local report = run_spell { speed = 1000 }
    expect(report.verdict).to_be("script_error")
    expect(report.problem.message).to_contain("Failed after 3 attempts")
    expect(report.calls).to_have_length(3)
  end)
end)

test("a model that answers is asked once, and for what the spell wants to know", function()
  model.script("Machines that learn")
  run_spell()
  local requests = model.requests()
  expect(requests).to_have_length(1)
  expect(requests[1].messages[1].content).to_be("Explain machine learning")
end)
