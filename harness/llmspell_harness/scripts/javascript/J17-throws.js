// id = "J17"
// title = "a result whose then is a trap"
// expect = ["script_error"]

return { get then() { throw new Error("trapped"); } };
