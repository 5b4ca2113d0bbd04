// llmspell-supervisor run examples/mcp-files.js --config mcp.toml --allow-bridge mcp --param folder=/home/me/notes
// A summary of a folder through an MCP server. In mcp.toml:
//   [mcp.servers.files]
//   command = ["npx", "@modelcontextprotocol/server-filesystem", "/home/me/notes"]
const folder = params.folder;

const found = await mcp.call("files", "search_files", {path: folder, pattern: "**/*.md"});
const summary = [];
for (const path of found.split("\n").sort()) {
    const text = await mcp.call("files", "read_text_file", {path, head: 1});
    const name = path.substring(folder.length + 1);
    console.log(`${name}: ${text}`);
    summary.push(name);
}

// What the server may not read is an error that can be caught.
try {
    await mcp.call("files", "read_text_file", {path: "/etc/passwd"});
} catch (problem) {
    console.log(`${problem.kind}: /etc/passwd is out of its reach`);
}

return summary;
