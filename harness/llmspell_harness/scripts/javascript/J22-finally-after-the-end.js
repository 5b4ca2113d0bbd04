// id = "J22"
// title = "work that waits for the end"
// expect = ["ok"]

// The value is settled; what is left may run, and changes nothing.
const gains = [];
(async () => {
  try { await util.sleep(5); } finally { gains.push("pushed after the end"); }
})();
queueMicrotask(() => gains.push("pushed after the end, too"));
return [...gains];
