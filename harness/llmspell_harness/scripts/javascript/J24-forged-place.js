// id = "J24"
// title = "an error that says it came from elsewhere"
// expect = ["script_error"]

const error = Function("throw new Error(1)\\n//# sourceURL=/etc/passwd");
try { error(); } catch (thrown) {
  thrown.fileName = "/etc/shadow";
  thrown.lineNumber = -1;
  thrown.stack = "at /root/.ssh/id_ed25519:1\\n@llmspell:prelude:1:1\\n";
  throw thrown;
}
