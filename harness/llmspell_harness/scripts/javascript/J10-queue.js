// id = "J10"
// title = "a queue of microtasks that doubles"
// expect = ["wall_limit", "memory_limit"]
// policy = {timeout = 0.3}

const again = () => {
  queueMicrotask(again);
  queueMicrotask(again);
};
again();
await new Promise(() => {});
