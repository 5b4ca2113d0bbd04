// id = "J17"
// title = "promises of a class of our own"
// expect = ["ok"]

// Whoever asks a promise for its constructor, or for its then, asks this spell.
const gains = [];
const nativeThen = Promise.prototype.then;
class Ours extends Promise {
  then(...args) {
    for (const arg of args) {
      const source = typeof arg === "function" ? Function.prototype.toString.call(arg) : "";
      if (source.includes("host(")) gains.push("a callback of the host");
    }
    return super.then(...args);
  }
}
const models = llm.models();
Object.setPrototypeOf(models, Ours.prototype);
await models;
Promise.prototype.then = function (...args) {
  for (const arg of args) {
    if (typeof arg === "function" && /fail\(|settled/.test(Function.prototype.toString.call(arg))) {
      gains.push("a callback of the prelude");
    }
  }
  return nativeThen.apply(this, args);
};
Object.defineProperty(Promise, Symbol.species, { get() { return Ours; } });
await llm.models();
await util.sleep(1);
return gains;
