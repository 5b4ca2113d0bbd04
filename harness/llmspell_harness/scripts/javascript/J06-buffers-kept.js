// id = "J06"
// title = "many small buffers, kept"
// expect = ["memory_limit"]
// policy = {memory = 67108864}

const kept = new Map();
for (;;) kept.set({}, new Uint8Array(2 ** 20).fill(kept.size));
