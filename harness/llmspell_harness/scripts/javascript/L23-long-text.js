// id = "L23"
// title = "an error of 20 MB, not caught"
// expect = ["script_error"]

const error = new Error("\u001b[31mverdict: ok\r\n".repeat(2 ** 20));
error.name = "x".repeat(2 ** 20);
error.stack = "x".repeat(2 ** 22);
throw error;
