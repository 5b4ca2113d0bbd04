// id = "J20"
// title = "a symbol among the values, returned"
// expect = ["script_error"]

return { a: [Symbol("x"), new WeakRef({})] };
