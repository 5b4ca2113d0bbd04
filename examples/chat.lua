-- llmspell-supervisor run examples/chat.lua --model local
-- A conversation: the agent remembers what was said. With a name, such as
-- llm.conversation({name = "ada"}), it would remember it the next time as well.
local guide = llm.agent({system = "You guide visitors through a castle. Be short."})
local chat = llm.conversation()

for _, line in ipairs(params.lines or {"I am Ada. Where is the library?", "Who am I?"}) do
    console.log("> " .. line)
    for event in guide:run_stream(line, chat) do
        if event.type == "text" then
            console.write(event.content)
        end
    end
    console.log("")
end

return #chat:messages()
