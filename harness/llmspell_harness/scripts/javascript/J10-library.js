// id = "J10"
// title = "calls into the library for ever"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

for (;;) json.decode(json.encode({ id: util.uuid() }));
