// id = "J11"
// title = "a callback of a timer that throws"
// expect = ["script_error"]

setTimeout(() => { throw { toString() { throw 1; }, get message() { throw 2; } }; }, 1);
await util.sleep(1000);
return ["it went on"];
