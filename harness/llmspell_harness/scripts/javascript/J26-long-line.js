// id = "J26"
// title = "lines of many megabytes"
// expect = ["output_limit"]
// policy = {max_output = 65536}

const line = "x".repeat(2 ** 25);
for (let i = 0; i < 1000; i++) console.error(line, [line], { line });
return ["all of them"];
