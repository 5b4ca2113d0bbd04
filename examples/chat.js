// llmspell-supervisor run examples/chat.js --model local
// A conversation: the agent remembers what was said. With a name, such as
// llm.conversation({name: "ada"}), it would remember it the next time as well.
const guide = await llm.agent({system: "You guide visitors through a castle. Be short."});
const chat = await llm.conversation();

for (const line of params.lines ?? ["I am Ada. Where is the library?", "Who am I?"]) {
    console.log(`> ${line}`);
    for await (const event of guide.runStream(line, chat)) {
        if (event.type === "text") {
            console.write(event.content);
        }
    }
    console.log("");
}

return (await chat.messages()).length;
