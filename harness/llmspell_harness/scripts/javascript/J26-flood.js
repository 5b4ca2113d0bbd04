// id = "J26"
// title = "a billion lines on the console"
// expect = ["output_limit"]
// policy = {max_output = 65536}

for (let i = 0; i < 1e9; i++) console.log(`line ${i}`);
return ["all of them"];
