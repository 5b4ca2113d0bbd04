// id = "J17"
// title = "a result that resolves again when all is over"
// expect = ["ok"]

return { then(resolve) {
  resolve([]);
  setTimeout(() => resolve(["resolved later"]), 1);
  queueMicrotask(() => resolve(["resolved in between"]));
} };
