// llmspell-supervisor run examples/streaming.js --model local
// Prints each line of the answer as soon as it is complete, not when all of it is there.
const stream = llm.stream({
    messages: [
        {role: "user", content: "List five facts about owls, one on each line"}
    ]
});

let line = "";
let pieces = 0;
for await (const chunk of stream) {
    pieces++;
    line += chunk.content ?? ""; // the last chunk says why it ended, and has no content
    const complete = line.split("\n");
    line = complete.pop();
    complete.forEach((text) => console.log(text));
}

console.log(line);
console.log(`The answer came in ${pieces} pieces`);
