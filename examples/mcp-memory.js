// llmspell-supervisor run examples/mcp-memory.js --config mcp.toml --allow-bridge llm --allow-bridge mcp --model openai/gpt-4o
// An agent that remembers people beyond its run, in an MCP server's knowledge graph. In mcp.toml:
//   [mcp.servers.memory]
//   command = ["npx", "@modelcontextprotocol/server-memory"]
//   env = ["MEMORY_FILE_PATH"]
const librarian = await llm.agent({
    name: "librarian",
    system: "You keep a library for wizards. Remember what people tell you about themselves.",
    mcp: ["memory"]
});

const answer = await librarian.run(params.say ?? "I am Ada, and I like owls");
for (const use of answer.tool_calls) {
    console.log(`used ${use.name}`);
}
console.log(`${answer}`);

// The spell may look into the same memory.
const found = await mcp.call("memory", "search_nodes", {query: "owls"});
return found.data.entities.map((entity) => entity.name);
