// id = "J12"
// title = "a result whose getter takes for ever"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

return { get a() { for (;;); } };
