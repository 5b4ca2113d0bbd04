// id = "L23"
// title = "an error whose text takes for ever, not caught"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

throw { get message() { for (;;); } };
