// id = "J07"
// title = "an iterator without an end, spread into a list"
// expect = ["memory_limit", "wall_limit"]
// policy = {memory = 67108864, timeout = 0.5}

return [`${[...{ *[Symbol.iterator]() { for (;;) yield "item"; } }].length} items`];
