-- llmspell-supervisor run examples/streaming.lua --model local
-- Shows the answer piece by piece, as the model writes it.
local stream = llm.stream({
    messages = {
        {role = "user", content = "List five facts about owls, one on each line"}
    }
})

local pieces = 0
for chunk in stream do
    pieces = pieces + 1
    console.write(chunk.content or "") -- the last chunk says why it ended, and has no content
end

console.log("\nThe answer came in " .. pieces .. " pieces")
