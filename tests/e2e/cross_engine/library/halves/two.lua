coroutine.yield()
local _, problem = pcall(require, "halves/two")
return problem.message
