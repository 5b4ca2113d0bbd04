// id = "L28"
// title = "clocks fine enough to watch a neighbour"

const gains = [];
const FINEST = 0.999; // milliseconds; seconds since 1970 have no more digits than that

const finest = (name, clock) => {
  let last = clock(), smallest = Infinity;
  const ends = Date.now() + 300;
  for (let steps = 0; steps < 20 && Date.now() < ends;) {
    const now = clock();
    if (now > last) {
      smallest = Math.min(smallest, now - last);
      steps++;
    }
    last = now;
  }
  if (smallest < FINEST) gains.push(`${name} tells ${smallest} ms`);
};
finest("Date.now", () => Date.now());
finest("new Date", () => new Date().getTime());
finest("util.time", () => util.time() * 1000);
for (const name of ["performance", "SharedArrayBuffer", "Atomics", "Temporal", "requestAnimationFrame",
  "dateNow", "timeSinceCreation", "preciseTime"]) {
  if (globalThis[name] !== undefined) gains.push(name);
}
return gains;
