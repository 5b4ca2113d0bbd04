// id = "J10"
// title = "thenables that answer with thenables"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

const again = { then(resolve) { resolve(again); } };
return again;
