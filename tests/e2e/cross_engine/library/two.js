return await require("one");
