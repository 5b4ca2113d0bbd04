-- a library that fails while it is run
error("not today")
