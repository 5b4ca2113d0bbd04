// id = "J01"
// title = "the object through which PythonMonkey gives scripts Python"
const gains = [];
const realm = Function("return this")();
for (const name of ["python", "pmEval"]) {
  if (typeof globalThis[name] !== "undefined" || realm[name] !== undefined) gains.push(name);
}
return gains;
