// id = "J10"
// title = "async generators without an end"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

const endless = async function* () { for (;;) yield* [1, 2, 3]; };
for await (const _ of endless());
