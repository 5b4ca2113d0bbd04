// id = "J06"
// title = "a bomb that is tried again and again"
// expect = ["memory_limit", "wall_limit", "cpu_limit"]
// policy = {memory = 67108864, timeout = 0.5}

// Each try is stopped; the deadline ends those that never stop trying.
for (;;) {
  try {
    const heap = [];
    for (;;) heap.push(new Uint8Array(2 ** 22).fill(1));
  } catch { /* again */ }
}
