// id = "J10"
// title = "loops inside of the engine"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

const list = { length: 2 ** 53 - 1 };
Array.prototype.indexOf.call(list, 1);
Array.prototype.fill.call(list, 0, 2 ** 53 - 2);
return ["it came to an end"];
