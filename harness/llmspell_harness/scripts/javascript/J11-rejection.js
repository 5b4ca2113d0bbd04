// id = "J11"
// title = "a rejection that nobody handles"
// expect = ["script_error"]

Promise.reject(new Error("lost"));
await util.sleep(1000);
return ["it went on"];
