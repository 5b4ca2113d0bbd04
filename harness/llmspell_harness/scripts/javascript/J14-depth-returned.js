// id = "J14"
// title = "ten thousand levels, returned"
// expect = ["script_error"]

let value = [];
for (let i = 0; i < 10000; i++) value = [value];
return value;
