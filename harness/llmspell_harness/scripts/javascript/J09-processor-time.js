// id = "J09"
// title = "a regular expression that tries for ever, by processor time"
// expect = ["cpu_limit"]
// policy = {cpu = 0.3}

return [`matched ${/^(?:(?:a|aa|a?)+)+c$/u.test(`${"a".repeat(60)}b`)}`];
