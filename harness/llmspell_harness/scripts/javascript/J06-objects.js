// id = "J06"
// title = "objects until memory ends, not caught"
// expect = ["memory_limit"]
// policy = {memory = 67108864}

const chain = [];
for (;;) chain.push({ link: chain.at(-1), text: `${chain.length}` });
