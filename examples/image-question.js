// llmspell-supervisor run examples/image-question.js --model openai/gpt-4o-mini
// Needs a model that sees: the local one does not.

// A red square of 16 by 16 pixels: the bytes of a PNG file in base64.
const square = "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQV"
    + "R42mO4oKBAEmIY1TCqYfhqAABLfxAQegypMgAAAABJRU5ErkJggg==";

const response = await llm.complete({
    messages: [
        {
            role: "user",
            content: [
                {type: "text", text: "Which colour is this square? Answer in one word."},
                {type: "image", data: square, mime: "image/png"}
            ]
        }
    ]
});

console.log(`The square is ${response.content}`);
