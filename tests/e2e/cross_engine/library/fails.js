// a library that fails while it is run
throw new Error("not today");
