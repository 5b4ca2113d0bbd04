// llmspell-supervisor run examples/structured-output.js --model local
// With a schema the answer arrives as data, already checked to be JSON.
const response = await llm.complete({
    messages: [
        {role: "user", content: "Invent a wizard for a story"}
    ],
    schema: {
        type: "object",
        properties: {
            name: {type: "string", maxLength: 40},
            age: {type: "integer"},
            spells: {
                type: "array",
                items: {type: "string", maxLength: 40},
                minItems: 1,
                maxItems: 3
            }
        },
        required: ["name", "age", "spells"],
        additionalProperties: false
    },
    max_tokens: 300
});

const wizard = response.data;
console.log(`${wizard.name}, aged ${wizard.age}, casts:`);
for (const spell of wizard.spells) {
    console.log(`- ${spell}`);
}

return wizard;
