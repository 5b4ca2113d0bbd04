// id = "J07"
// title = "a list from a length of 2^32-1"
// expect = ["memory_limit", "wall_limit"]
// policy = {memory = 67108864, timeout = 1.0}

return [`${Array.from({ length: 2 ** 32 - 1 }).length} items`];
