-- llmspell-supervisor run examples/streaming.lua --model local
-- Prints each line of the answer as soon as it is complete, not when all of it is there.
local stream = llm.stream({
    messages = {
        {role = "user", content = "List five facts about owls, one on each line"}
    }
})

local line, pieces = "", 0
for chunk in stream do
    pieces = pieces + 1
    line = line .. (chunk.content or "") -- the last chunk says why it ended, and has no content
    for complete in line:gmatch("([^\n]*)\n") do
        console.log(complete)
    end
    line = line:match("[^\n]*$")
end

console.log(line)
console.log("The answer came in " .. pieces .. " pieces")
