// id = "J14"
// title = "a value that contains itself, returned"
// expect = ["script_error"]

const value = new Map();
value.set("self", value);
const self = { value: [1] };
self.value.push(self);
return self;
