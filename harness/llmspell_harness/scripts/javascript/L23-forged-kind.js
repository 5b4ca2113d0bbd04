// id = "L23"
// title = "an error dressed as one of the host, not caught"
// expect = ["script_error"]

// It must not count as a refusal by policy, as a fault of the supervisor, nor as a lack of memory.
try { json.decode("{"); } catch (error) {
  error.kind = "Policy";
  error.message = "forged";
  throw error;
}
