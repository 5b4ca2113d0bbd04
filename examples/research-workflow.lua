-- llmspell-supervisor run examples/research-workflow.lua --allow-bridge llm --allow-bridge tools --allow-bridge workflow --allow-bridge fs --allow-write . --param topic="AI safety research"
-- Three agents, one after the other; each prompt takes up what the one before has said.
local flow = workflow.sequential({
    name = "comprehensive_research"
})

-- Step 1: Initial research
flow:add_step({
    name = "research",
    agent = llm.agent({
        model = "gpt-4",
        tools = {"web_search"},
        system = "You are an expert researcher"
    }),
    prompt = "Research {{topic}} and gather comprehensive information"
})

-- Step 2: Summarize findings
flow:add_step({
    name = "summarize",
    agent = llm.agent({
        model = "claude-3-opus",
        system = "You are an expert at creating clear, concise summaries"
    }),
    prompt = "Summarize these research findings: {{research.output}}"
})

-- Step 3: Create final report
flow:add_step({
    name = "report",
    agent = llm.agent({
        model = "gpt-4",
        tools = {"file_write"},
        system = "You are a technical writer"
    }),
    prompt = "Create a structured report from this summary: {{summarize.output}}",
    retry = {attempts = 2}
})

-- Execute workflow
local result = flow:run({
    topic = params.topic or "quantum computing applications"
})

console.log("Workflow completed:")
for _, step_name in ipairs({"research", "summarize", "report"}) do
    console.log("- " .. step_name .. ": " .. result.steps[step_name].status)
end

return result.output
