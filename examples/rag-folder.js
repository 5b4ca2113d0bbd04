// llmspell-supervisor run examples/rag-folder.js --allow-bridge llm --allow-bridge rag --allow-read /home/me/notes --param folder=/home/me/notes --param question="What do owls eat?"
// Answers from a folder of documents. Its passages become vectors on this machine, by the model of
// the extra "data"; only the answer is asked of a language model, which sees the passages found.
const taken = await rag.ingestFolder("notes", {path: params.folder, pattern: "*.md"});
for (const document of taken.documents) {
    console.log(`read ${document.source}: ${document.chunks} passages`);
}
for (const file of taken.skipped) {
    console.warn(`skipped ${file.source}: ${file.reason}`);
}

// The passages that are most like the question; this costs nothing.
const [best] = await rag.retrieve("notes", {question: params.question, limit: 1});
console.log(`most alike: ${best.source}`);

const answer = await rag.answer("notes", {question: params.question, limit: 2});
console.log(answer.content);

return {answer: answer.content, source: best.source};
