coroutine.yield()
return "one"
