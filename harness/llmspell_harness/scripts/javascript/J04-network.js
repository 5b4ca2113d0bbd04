// id = "J04"
// title = "what a runtime leaves that talks to the network or loads files"

const gains = [];
const url = `http://127.0.0.1:${params.http_port}/`;

const names = ["XMLHttpRequest", "XMLHttpRequestEventTarget", "fetch", "WebSocket", "EventSource",
  "Worker", "SharedWorker", "importScripts", "navigator", "location", "document", "indexedDB",
  "localStorage", "caches", "crypto", "performance", "URL", "Blob", "File", "FileReader", "require",
  "module", "exports", "process", "Buffer", "Deno", "Bun", "os", "load", "read", "readFile",
  "MessageChannel", "BroadcastChannel", "RTCPeerConnection", "structuredClone", "sendBeacon"];
for (const name of names) {
  if (globalThis[name] !== undefined) gains.push(name);
}
try {
  await new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("GET", url);
    request.onload = () => { gains.push(`read: ${request.responseText}`); resolve(); };
    request.onerror = reject;
    request.send();
  });
} catch { /* nothing there to ask with */ }
try { gains.push(`read: ${await (await fetch(url)).text()}`); } catch { /* likewise */ }
try { gains.push(`read: ${require("fs").readFileSync(params.file)}`); } catch { /* likewise */ }

// Modules are files or addresses; there must be no loader.
const load = Function("name", "return import(name)");
for (const name of [url, `file://${params.file}`, params.file,
  "data:text/javascript,export default 1", "fs", "node:fs", "./values.js", "pythonmonkey", "\0"]) {
  try { gains.push(`imported ${name}: ${Object.keys(await load(name))}`); } catch { /* none */ }
}
try { gains.push(`import.meta: ${eval("import.meta.url")}`); } catch { /* no module */ }
return gains;
