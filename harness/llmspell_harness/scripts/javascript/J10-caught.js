// id = "J10"
// title = "a loop that catches whatever would end it"
// expect = ["wall_limit", "memory_limit"]
// policy = {timeout = 0.3}

const spin = () => {
  try { spin(); } catch { /* again */ } finally { spin(); }
};
spin();
