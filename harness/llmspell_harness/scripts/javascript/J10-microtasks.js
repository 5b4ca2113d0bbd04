// id = "J10"
// title = "microtasks that beget microtasks"
// expect = ["wall_limit"]
// policy = {timeout = 0.3}

const again = () => Promise.resolve().then(again);
again();
await new Promise(() => {});
return ["it went on"];
