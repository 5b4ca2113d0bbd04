// id = "J12"
// title = "a result that always has one more key"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

return new Proxy({}, { ownKeys() { for (;;); } });
