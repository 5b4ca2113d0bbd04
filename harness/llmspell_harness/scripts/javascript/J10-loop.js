// id = "J10"
// title = "a loop"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

for (;;);
