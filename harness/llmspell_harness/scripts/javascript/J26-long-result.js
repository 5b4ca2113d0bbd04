// id = "J26"
// title = "a result of many megabytes"
// expect = ["output_limit"]

return ["x".repeat(8 * 2 ** 20)];
