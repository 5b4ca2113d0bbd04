// id = "L23"
// title = "the words of the engine for a lack of memory, thrown"
// expect = ["script_error", "memory_limit"]

// These very words are how the engine says it; a spell that says so is believed, to its own cost.
throw "out of memory";
