-- llmspell-supervisor run examples/mcp-files.lua --config mcp.toml --allow-bridge mcp --param folder=/home/me/notes
-- A summary of a folder through an MCP server. In mcp.toml:
--   [mcp.servers.files]
--   command = ["npx", "@modelcontextprotocol/server-filesystem", "/home/me/notes"]
local folder = params.folder

local found = mcp.call("files", "search_files", {path = folder, pattern = "**/*.md"})
local paths = {}
for path in found:gmatch("[^\n]+") do
    paths[#paths + 1] = path
end
table.sort(paths)

local summary = {}
for i, path in ipairs(paths) do
    local text = mcp.call("files", "read_text_file", {path = path, head = 1})
    local name = path:sub(#folder + 2)
    console.log(name .. ": " .. text)
    summary[i] = name
end

-- What the server may not read is an error that can be caught.
local ok, problem = pcall(mcp.call, "files", "read_text_file", {path = "/etc/passwd"})
if not ok then
    console.log(problem.kind .. ": /etc/passwd is out of its reach")
end

return summary
