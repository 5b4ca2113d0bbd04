// id = "J19"
// title = "half a character, thrown"
// expect = ["script_error"]

const error = new Error("\ud800\0\u202e\u001b[2J");
error.name = "\udc00";
error.fileName = "\ud800";
throw error;
