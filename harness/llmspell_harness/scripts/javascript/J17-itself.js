// id = "J17"
// title = "a result that resolves with itself"
// expect = ["script_error"]

// vm2 CVE-2026-44000, and what the standard says of it: a TypeError.
let resolveIt;
const promise = new Promise((resolve) => { resolveIt = resolve; });
resolveIt(promise);
return promise;
