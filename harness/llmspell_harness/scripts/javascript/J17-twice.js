// id = "J17"
// title = "a result that resolves twice"
// expect = ["ok"]

return { then(resolve, reject) {
  resolve([]);
  resolve(["resolved twice"]);
  reject(new Error("and rejected"));
  throw new Error("and thrown");
} };
