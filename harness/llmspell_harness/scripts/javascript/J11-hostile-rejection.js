// id = "J11"
// title = "a rejection whose reason strikes back"
// expect = ["script_error"]

// vm2 CVE-2026-44001: the host died of a rejection inside of an async function.
const hostile = new Proxy(function () {}, {
  get() { throw hostile; },
  getPrototypeOf() { throw hostile; },
  ownKeys() { throw hostile; },
  has() { throw hostile; },
});
(async () => { await null; throw hostile; })();
queueMicrotask(() => { throw hostile; });
Promise.reject(Symbol("lost"));
Promise.reject(undefined);
await util.sleep(1000);
return ["it went on"];
