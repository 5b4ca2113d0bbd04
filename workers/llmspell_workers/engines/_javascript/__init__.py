"""JavaScript: SpiderMonkey without its just-in-time compiler, unless the operator grants it.

`_engine` declares the engine, `_core` loads it and takes its hooks, `_run` drives one spell, `_wait`
waits for the host and for timers, `_payload` turns values into text and back, `_failure` reads
errors. The four `.js` files are one function, the prelude: what a spell sees is made there, from
primordials taken before the spell runs.

A spell is the body of a strict async function. What it finds besides the language: `console`,
`json`, `util`, `math`, `params`, `env`, the bridges of its manifest, `setTimeout`, `setInterval`,
`clearTimeout`, `clearInterval` and `queueMicrotask`. `json`, `math` and `util` are synchronous,
except for `util.sleep`. Bridge methods return promises; streams are async iterables with a
`result`. What is missing on purpose: modules, WebAssembly, shared memory, and
`FinalizationRegistry`, which would run code of the spell inside a garbage collection.

Values: a `Date` crosses as its ISO text, -0 as 0, an instance of a class as its own properties;
`undefined` is left out of a map and is null elsewhere. A `Map`, `Set`, `Promise`, `Error`, boxed
primitive, or typed array other than `Uint8Array` is refused with a hint.
"""

from ._engine import JavaScriptEngine

__all__ = ["JavaScriptEngine"]
