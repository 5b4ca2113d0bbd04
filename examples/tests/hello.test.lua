-- llmspell-supervisor test examples/tests/hello.test.lua
spell "../hello.lua"

test("greets the world when nobody is named", function()
  local report = run_spell()
  expect(report.verdict).to_be("ok")
  expect(report.output).to_equal("Hello, world!\n")
end)

test("greets by name", function()
  local report = run_spell { params = { name = "Ada" } }
  expect(report.output).to_equal("Hello, Ada!\n")
end)
