// id = "L23"
// title = "an error that answers every question by a throw"
// expect = ["script_error"]

const trap = () => { throw hostile; };
const hostile = new Proxy(new Error("x"), {
  get: trap, has: trap, getPrototypeOf: trap, ownKeys: trap, getOwnPropertyDescriptor: trap,
});
throw hostile;
