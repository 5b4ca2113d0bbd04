// id = "J27"
// title = "published confusions of the compiler that is not there"

// CVE-2019-11707 (Array.pop), CVE-2019-9810 (slices), CVE-2019-17026 (aliases), CVE-2024-29943
// (ranges), CVE-2025-4919 (sums): flaws of the just-in-time compiler, which does not run. The next
// one is assumed, and meets the walls of the system.
const gains = [];
const check = (name, good) => { if (!good) gains.push(name); };

const buffers = [];
const popper = (list, index) => {
  const popped = list.pop();
  return popped instanceof Uint8Array ? popped[index] : undefined;
};
for (let i = 0; i < 3000; i++) {
  buffers.length = 4;
  buffers.fill(new Uint8Array(8).fill(7));
  if (i % 500 === 499) {
    Object.setPrototypeOf(buffers, { __proto__: Array.prototype, 3: new Uint32Array(8) });
    delete buffers[3];
  }
  const read = popper(buffers, 5);
  check("pop read another's memory", read === 7 || read === undefined);
}
const slice = (list, at) => list.slice(0, at)[at - 1];
for (let i = 0; i < 3000; i++) {
  const list = [1.1, 2.2, 3.3];
  const at = { valueOf() { list.length = 1; return 3; } };
  const read = slice(list, i % 100 ? 2 : at);
  check("slice read freed memory", read === 2.2 || read === undefined || Number.isNaN(read));
}
const bytes = new Uint8Array(16);
const sum = (a, b) => bytes[(a | 0) + (b | 0) - 0x7fffffff];
for (let i = 0; i < 3000; i++) {
  const read = sum(0x7fffffff, i % 50 ? i % 16 : -0x80000000);
  check("a range was believed", read === 0 || read === undefined);
}
const alias = (list, other) => { list[0] = 1.5; other.length = 0; other[20] = {}; return list[0]; };
for (let i = 0; i < 3000; i++) {
  const list = [0.5, 1.5];
  const read = alias(list, i % 100 ? [1] : list);
  check("an alias was missed", read === 1.5 || read === undefined);
}
const allSettled = Promise.allSettled([1, 2, 3].map((n) => ({ then(resolve) { resolve(n); resolve(n); } })));
check("a promise element resolved twice", (await allSettled).length === 3);
if (typeof WebAssembly !== "undefined") gains.push("WebAssembly");
return gains;
