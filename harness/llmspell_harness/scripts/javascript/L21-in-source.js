// id = "L21"
// title = "a spell that tries to end the function around it"
// expect = ["script_error"]

}); globalThis.outside = "ran"; (async function () {
return [outside];
