// id = "J10"
// title = "a loop around await"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

for (;;) await null;
