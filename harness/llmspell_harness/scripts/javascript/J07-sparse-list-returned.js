// id = "J07"
// title = "a list of 2^32-1 holes, returned"
// expect = ["script_error"]

const list = [];
list.length = 4294967295;
return list;
