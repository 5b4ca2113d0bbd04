return await require("own");
