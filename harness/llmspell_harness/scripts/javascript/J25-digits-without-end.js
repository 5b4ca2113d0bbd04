// id = "J25"
// title = "a bigint of a quarter of a million digits, as text"
// expect = ["wall_limit", "memory_limit"]
// policy = {timeout = 0.3}

const long = 7n ** 300000n;
for (;;) long.toLocaleString("hi-u-nu-deva");
