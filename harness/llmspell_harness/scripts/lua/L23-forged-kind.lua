-- id = "L23"
-- title = "an error dressed as one of the host, not caught"
-- expect = ["script_error"]


-- It must not count as a refusal by policy, nor as a fault of the supervisor.
local _, refused = pcall(json.decode, "{")
for _, kind in ipairs({ "Internal", "Policy" }) do
  pcall(rawset, refused, "kind", kind)
  pcall(function() refused.kind = kind end)
end
pcall(rawset, refused, "message", ("x"):rep(1 << 20))
pcall(rawset, refused, "retry_after", 0 / 0)
error(refused, 0)
