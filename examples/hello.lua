-- llmspell-supervisor run examples/hello.lua --param name=Ada
local name = params.name or "world"
console.log("Hello, " .. name .. "!")
