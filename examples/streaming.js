// llmspell-supervisor run examples/streaming.js --model local
// Shows the answer piece by piece, as the model writes it.
const stream = llm.stream({
    messages: [
        {role: "user", content: "List five facts about owls, one on each line"}
    ]
});

let pieces = 0;
for await (const chunk of stream) {
    pieces++;
    console.write(chunk.content ?? ""); // the last chunk says why it ended, and has no content
}

console.log(`\nThe answer came in ${pieces} pieces`);
