-- llmspell-supervisor run examples/research-agent.lua --allow-bridge llm --allow-bridge tools --allow-bridge fs --allow-write . --param topic="AI safety research"
-- An agent that searches the web. Who searches is said in the config file: search_provider under [tools].
local researcher = llm.agent({
    model = "claude-3-opus",
    tools = {"web_search", "file_write"},
    system = "You are a helpful research assistant"
})

local topic = params.topic or "quantum computing breakthroughs 2025"
local research = researcher:run("Research " .. topic .. " and summarize key findings")

-- Save results
tools.file_write("research/" .. topic:gsub(" ", "_") .. ".md", research)
console.log("Research completed and saved!")

return {
    topic = topic,
    summary = research:sub(1, 200) .. "...",
    status = "completed"
}
