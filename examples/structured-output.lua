-- llmspell-supervisor run examples/structured-output.lua --model local
-- With a schema the answer arrives as data, already checked to be JSON.
local response = llm.complete({
    messages = {
        {role = "user", content = "Invent a wizard for a story"}
    },
    schema = {
        type = "object",
        properties = {
            name = {type = "string", maxLength = 40},
            age = {type = "integer"},
            spells = {
                type = "array",
                items = {type = "string", maxLength = 40},
                minItems = 1,
                maxItems = 3
            }
        },
        required = {"name", "age", "spells"},
        additionalProperties = false
    },
    max_tokens = 300
})

local wizard = response.data
console.log(wizard.name .. ", aged " .. wizard.age .. ", casts:")
for _, spell in ipairs(wizard.spells) do
    console.log("- " .. spell)
end

return wizard
