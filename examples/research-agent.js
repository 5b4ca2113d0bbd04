// llmspell-supervisor run examples/research-agent.js --allow-bridge llm --allow-bridge tools --allow-bridge fs --allow-write . --param topic="AI safety research"
// An agent that searches the web. Who searches is said in the config file: search_provider under [tools].
const researcher = await llm.agent({
    model: "claude-3-opus",
    tools: ["web_search", "file_write"],
    system: "You are a helpful research assistant"
});

const topic = params.topic || "quantum computing breakthroughs 2025";
const research = await researcher.run(`Research ${topic} and summarize key findings`);

// Save results
await tools.file_write(`research/${topic.replace(/\s+/g, "_")}.md`, research);
console.log("Research completed and saved!");

return {
    topic: topic,
    summary: research.substring(0, 200) + "...",
    status: "completed"
};
