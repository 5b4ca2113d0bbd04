-- llmspell-supervisor run examples/rag-folder.lua --allow-bridge llm --allow-bridge rag --allow-read /home/me/notes --param folder=/home/me/notes --param question="What do owls eat?"
-- Answers from a folder of documents. Its passages become vectors on this machine, by the model of
-- the extra "data"; only the answer is asked of a language model, which sees the passages found.
local taken = rag.ingest_folder("notes", {path = params.folder, pattern = "*.md"})
for _, document in ipairs(taken.documents) do
    console.log(string.format("read %s: %d passages", document.source, document.chunks))
end
for _, file in ipairs(taken.skipped) do
    console.warn("skipped " .. file.source .. ": " .. file.reason)
end

-- The passages that are most like the question; this costs nothing.
local best = rag.retrieve("notes", {question = params.question, limit = 1})[1]
console.log("most alike: " .. best.source)

local answer = rag.answer("notes", {question = params.question, limit = 2})
console.log(answer.content)

return {answer = answer.content, source = best.source}
