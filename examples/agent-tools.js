// llmspell-supervisor run examples/agent-tools.js --model openai/gpt-4o
// An agent whose tools are functions of this spell.
const stock = {owl: 3, toad: 0};

const shop = await llm.agent({
    system: "You keep a shop for wizards. Look things up before you answer.",
    tools: [
        {
            name: "in_stock",
            description: "how many of an animal are in the shop",
            parameters: {
                type: "object",
                properties: {animal: {type: "string"}},
                required: ["animal"]
            },
            handler: ({animal}) => {
                if (!(animal in stock)) {
                    throw new Error(`there is no such animal: ${animal}`);
                }
                return stock[animal];
            }
        },
        {
            name: "sell",
            description: "sells one animal; gives how many are left",
            parameters: {
                type: "object",
                properties: {animal: {type: "string", enum: ["owl", "toad"]}},
                required: ["animal"]
            },
            handler: async ({animal}) => {
                stock[animal] -= 1;
                return {left: stock[animal]};
            }
        }
    ]
});

const answer = await shop.run(params.wish ?? "I would like an owl, please");
for (const use of answer.tool_calls) {
    console.log(`${use.name} said ${use.output}`);
}
console.log(`${answer}`);

return {owls: stock.owl, turns: answer.turns, tokens: answer.usage.total_tokens};
