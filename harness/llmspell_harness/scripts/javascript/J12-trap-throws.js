// id = "J12"
// title = "a result that throws as it is read"
// expect = ["script_error"]

return new Proxy([], { get() { throw { get message() { throw 1; } }; } });
