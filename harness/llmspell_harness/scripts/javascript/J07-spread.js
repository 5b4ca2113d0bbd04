// id = "J07"
// title = "2^32-1 holes as arguments"
// expect = ["wall_limit", "memory_limit"]
// policy = {timeout = 0.3, memory = 67108864}

const holes = [];
holes.length = 4294967295;
for (const spread of [() => Math.max(...holes), () => Reflect.apply(Math.max, null, holes),
  () => [...holes], () => holes.concat(holes).indexOf(1), () => holes.join("x"), () => holes.sort()]) {
  try { spread(); } catch { /* the next one */ }
}
for (;;) holes.reverse();
