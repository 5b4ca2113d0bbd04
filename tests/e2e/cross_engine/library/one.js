return await require("two");
