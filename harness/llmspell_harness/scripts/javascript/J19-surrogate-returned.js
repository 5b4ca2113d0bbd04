// id = "J19"
// title = "half a character, returned"
// expect = ["script_error"]

return ["\ud800"];
