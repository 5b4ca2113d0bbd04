return require("own")
