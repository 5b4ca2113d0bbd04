// id = "J17"
// title = "a result that never resolves"
// expect = ["script_error"]

return { then() {} };
