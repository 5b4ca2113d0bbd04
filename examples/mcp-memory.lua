-- llmspell-supervisor run examples/mcp-memory.lua --config mcp.toml --allow-bridge llm --allow-bridge mcp --model openai/gpt-4o
-- An agent that remembers people beyond its run, in an MCP server's knowledge graph. In mcp.toml:
--   [mcp.servers.memory]
--   command = ["npx", "@modelcontextprotocol/server-memory"]
--   env = ["MEMORY_FILE_PATH"]
local librarian = llm.agent({
    name = "librarian",
    system = "You keep a library for wizards. Remember what people tell you about themselves.",
    mcp = {"memory"}
})

local answer = librarian:run(params.say or "I am Ada, and I like owls")
for _, use in ipairs(answer.tool_calls) do
    console.log("used " .. use.name)
end
console.log(answer)

-- The spell may look into the same memory.
local found = mcp.call("memory", "search_nodes", {query = "owls"})
local names = {}
for i, entity in ipairs(found.data.entities) do
    names[i] = entity.name
end
return names
