using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = .hello)]);
const hello :Workerd.Worker = (
  modules = [(name = "hello", esModule = "export default { test() { return 1 } }")],
  compatibilityDate = "2026-01-01",
);
