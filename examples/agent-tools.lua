-- llmspell-supervisor run examples/agent-tools.lua --model openai/gpt-4o
-- An agent whose tools are functions of this spell.
local stock = {owl = 3, toad = 0}

local shop = llm.agent({
    system = "You keep a shop for wizards. Look things up before you answer.",
    tools = {
        {
            name = "in_stock",
            description = "how many of an animal are in the shop",
            parameters = {
                type = "object",
                properties = {animal = {type = "string"}},
                required = {"animal"}
            },
            handler = function(given)
                local count = stock[given.animal]
                if count == nil then
                    error("there is no such animal: " .. given.animal, 0)
                end
                return count
            end
        },
        {
            name = "sell",
            description = "sells one animal; gives how many are left",
            parameters = {
                type = "object",
                properties = {animal = {type = "string", enum = {"owl", "toad"}}},
                required = {"animal"}
            },
            handler = function(given)
                stock[given.animal] = stock[given.animal] - 1
                return {left = stock[given.animal]}
            end
        }
    }
})

local answer = shop:run(params.wish or "I would like an owl, please")
for _, use in ipairs(answer.tool_calls) do
    console.log(use.name .. " said " .. use.output)
end
console.log(answer)

return {owls = stock.owl, turns = answer.turns, tokens = answer.usage.total_tokens}
