// id = "J09"
// title = "a regular expression that tries for ever"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

return [`matched ${/(a+)+$/.test(`${"a".repeat(50)}b`)}`];
