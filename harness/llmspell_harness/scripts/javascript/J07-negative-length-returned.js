// id = "J07"
// title = "a list whose length is less than nothing, returned"
// expect = ["script_error"]

// What it wins back of the budget for values would be spent on a message too heavy for the host.
const claims = (length) => new Proxy([], { get: (list, key) => key === "length" ? length : list[key] });
return [claims(-1e9), claims(NaN), claims("1"), new Array(400000).fill(1)];
