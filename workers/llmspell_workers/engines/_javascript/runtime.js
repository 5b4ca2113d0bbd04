// The spell's world: errors, calls, streams, timers, and the way to run it all. `host` is the one
// function that leaves the engine; it takes and returns strings and is never visible to a spell.
const CREDIT_BATCH = 8;  // half the window that the host may fill: it never waits while the spell keeps up
const MAX_DELAY = 2 ** 31 - 1;  // milliseconds; what setTimeout can say elsewhere
const MAX_SLEEP = 24 * 60 * 60 * 1000;  // as the library declares
const MAX_TEXT = 16384;  // characters of an error's message or stack that leave the engine

// --- errors -----------------------------------------------------------------------------------

class BridgeError extends ErrorBase {
  kind; retryable; retry_after; field; duration;
  constructor(info) {
    super(info.message);
    this.kind = info.kind;
    this.retryable = info.retryable ?? false;
    this.retry_after = info.retry_after ?? null;
    this.field = info.field ?? null;
    this.duration = info.duration ?? null;
  }
}
defineProperty(BridgeError.prototype, "name", { __proto__: null, value: "BridgeError" });
const bridgeErrors = new WeakMapBase();  // to the info and stack as they were: spells may change errors

// A stack without the frames of this file.
const ownFrames = (stack) => {
  let own = "";
  for (let at = 0; at < stack.length;) {
    const end = apply(indexOf, stack, ["\n", at]) + 1 || stack.length;
    const frame = apply(slice, stack, [at, end]);
    if (apply(indexOf, frame, ["@llmspell:prelude:"]) < 0) own += frame;
    at = end;
  }
  return own;
};

const bridgeError = (info, site) => {
  const error = new BridgeError(info);
  const stack = ownFrames(stackOf(site ?? error));
  defineProperty(error, "stack", { __proto__: null, value: stack, writable: true, configurable: true });
  apply(weakSet, bridgeErrors, [error, { __proto__: null, info, stack }]);
  return error;
};

const clean = (value) => {
  const string = typeof value === "string" ? value : StringOf(value);
  return apply(toWellFormed, apply(slice, string, [0, MAX_TEXT]), []);
};

const attempt = (read, otherwise) => {
  try { return read(); } catch { return otherwise; }
};

const describeOther = (error) => {
  const stack = stackOf(error);
  if (stack === undefined) {
    const message = attempt(() => typeof error === "object" ? error.message : undefined);
    return { __proto__: null, message: clean(typeof message === "string" ? message : text(error)) };
  }
  const name = attempt(() => clean(error.name), "Error");
  const message = attempt(() => clean(error.message), "(an error whose message cannot be read)");
  const own = (key) => attempt(() => getOwnPropertyDescriptor(error, key)?.value);
  const line = own("lineNumber"), column = own("columnNumber"), file = own("fileName");
  return {
    __proto__: null, stack: clean(stack), file: clean(file ?? ""),
    message: name === "Error" ? message : message === "" ? name : `${name}: ${message}`,
    line: isSafeInteger(line) ? line : null, column: isSafeInteger(column) ? column : null,
  };
};

const describe = (error) => {
  const known = typeof error === "object" && error !== null
    ? apply(weakGet, bridgeErrors, [error]) : undefined;
  if (known === undefined) return describeOther(error);
  const { kind, message, retryable, retry_after, field, duration } = known.info;
  return { __proto__: null, kind, message: clean(message), retryable, retry_after, field, duration,
    stack: clean(known.stack) };
};

const fail = (cause, error) => {
  finished = true;
  const memory = error === "out of memory";
  host("failure", 0, memory ? "memory" : cause, stringify(describe(error)));
};

const raised = (answer) => bridgeError(parse(apply(slice, answer, [1])));

// --- calls and streams --------------------------------------------------------------------------

const calls = { __proto__: null };  // by number: who waits for what
let lastCall = 0, pending = 0;  // `pending` keeps the run alive: calls, readers, timers
let settled = false, finished = false;

// Of a call: what is undefined at the end is left out, except for the first argument.
const packArguments = (args, crossing) => {
  while (args.length > 1 && args[args.length - 1] === undefined) args.length -= 1;
  return pack(args, "argument", crossing);
};

// `target` is [method, crossing, number of the object whose method it is, or 0].
const send = (op, target, args, call) => {
  const id = ++lastCall;
  const refused = host(op, id, target[0], packArguments(args, target[1]), target[2]);
  if (refused !== "") throw raised(refused);
  call.id = id;
  calls[id] = call;
};

const invoke = (target, args, make) => {
  const site = new ErrorBase();
  return new PromiseBase((resolve, reject) => {
    send("call", target, args, {
      __proto__: null,
      reply(value) { pending--; resolve(make(value)); },
      fault(info) { pending--; reject(bridgeError(info, site)); },
    });
    pending++;
  });
};

const answer = (value, done) => ({ __proto__: null, value, done });

class Stream {
  #queue = list(); #readers = list(); #results = list();
  #ended = false; #error; #value; #id; #consumed = 0; #draining = false;

  constructor(target, args, make) {
    const site = new ErrorBase();
    try {
      const call = {
        __proto__: null,
        chunk: (value) => this.#chunk(value),
        reply: (value) => this.#end(make(value), undefined),
        fault: (info) => this.#end(undefined, bridgeError(info, site)),
      };
      send("stream", target, args, call);
      this.#id = call.id;
    } catch (error) {
      this.#end(undefined, error);
    }
    preventExtensions(this);
  }

  /** The next chunk. */
  next() {
    return new PromiseBase((resolve, reject) => {
      if (this.#queue.length) {
        const value = shift(this.#queue);
        this.#consume();
        resolve(answer(value, false));
      } else if (this.#error !== undefined && !this.#draining) {
        this.#draining = true;  // an error is raised once, and then the stream is over
        reject(this.#error);
      } else if (this.#ended) {
        resolve(answer(undefined, true));
      } else {
        append(this.#readers, { __proto__: null, resolve, reject });
        pending++;
      }
    });
  }

  /** Ends the stream early: what `break` does in `for await`. */
  return(value) {
    return new PromiseBase((resolve) => {
      if (!this.#ended) {
        this.#draining = true;
        this.#ended = true;
        if (host("close", this.#id, "", "") === "unsent") {
          delete calls[this.#id];
          this.#end(undefined, undefined);
        }
        this.#queue.length = 0;
        while (this.#readers.length) {
          pending--;
          shift(this.#readers).resolve(answer(undefined, true));
        }
      }
      resolve(answer(value, true));
    });
  }

  /** The closing value, once the stream has ended. Chunks that nobody reads are dropped. */
  get result() {
    return new PromiseBase((resolve, reject) => {
      if (this.#id === undefined || calls[this.#id] === undefined) {
        if (this.#error !== undefined) reject(this.#error);
        else resolve(this.#value);
        return;
      }
      append(this.#results, { __proto__: null, resolve, reject });
      pending++;
      if (this.#readers.length === 0) this.#drain();
    });
  }

  [Symbol.asyncIterator]() { return this; }

  #drain() {
    this.#draining = true;
    while (this.#queue.length) {
      shift(this.#queue);
      this.#consume();
    }
  }

  #consume() {
    if (++this.#consumed % CREDIT_BATCH === 0) host("credit", this.#id, "", `${CREDIT_BATCH}`);
  }

  #chunk(value) {
    if (this.#ended) return;
    if (this.#readers.length) {
      pending--;
      this.#consume();
      shift(this.#readers).resolve(answer(value, false));
    } else if (this.#draining) {
      this.#consume();
    } else {
      append(this.#queue, value);
    }
  }

  #end(value, error) {
    this.#ended = true;
    this.#value = value;
    this.#error = error;
    while (this.#readers.length) {
      pending--;
      const reader = shift(this.#readers);
      if (error === undefined) reader.resolve(answer(undefined, true));
      else if (this.#draining) reader.resolve(answer(undefined, true));
      else { this.#draining = true; reader.reject(error); }
    }
    while (this.#results.length) {
      pending--;
      const waiter = shift(this.#results);
      if (error === undefined) waiter.resolve(value);
      else waiter.reject(error);
    }
  }
}
deleteProperty(Stream.prototype, "constructor");
freeze(Stream.prototype);

const shift = (array) => {
  const first = array[0], last = array.length - 1;
  for (let i = 0; i < last; i++) array[i] = array[i + 1];
  array.length = last;
  return first;
};

// --- timers -------------------------------------------------------------------------------------

const timers = { __proto__: null };
let lastTimer = 0;

const arm = (id, delay) => host("timer", id, "", `${delay}`);

const setTimer = (callback, delay, args, repeat) => {
  if (typeof callback !== "function") throw new TypeErrorBase("the timer's callback is not a function");
  delay = +delay;
  delay = delay > 1 ? (delay < MAX_DELAY ? delay : MAX_DELAY) : 1;
  const id = ++lastTimer;
  timers[id] = { __proto__: null, callback, args, repeat, delay };
  pending++;
  arm(id, delay);
  return id;
};

const clearTimer = (id) => {
  if (typeof id !== "number" || timers[id] === undefined) return;
  delete timers[id];
  pending--;
  host("untimer", id, "", "");
};

const fire = (id) => {
  const timer = timers[id];
  if (timer === undefined) return;
  if (timer.repeat) arm(id, timer.delay);
  else {
    delete timers[id];
    pending--;
  }
  try {
    apply(timer.callback, undefined, timer.args);
  } catch (error) {
    fail("unhandled", error);
  }
};

// --- globals ------------------------------------------------------------------------------------

const frozen = (table) => {
  const names = keys(table);
  for (let i = 0; i < names.length; i++) {
    if (typeof table[names[i]] === "function") freeze(table[names[i]]);
  }
  return freeze(table);
};

const library = (method, args) => {
  const crossing = apply(indexOf, method, ["json."]) === 0 ? DATA : TEXTS;
  const result = host("library", 0, method, packArguments(args, crossing));
  if (result[0] === "!") throw raised(result);
  return unpack(result);
};

const libraryTable = (module, names) => {
  const table = { __proto__: null };
  const wire = keys(names);
  for (let i = 0; i < wire.length; i++) {
    const method = `${module}.${wire[i]}`, name = names[wire[i]];
    table[name] = { [name](...args) { return library(method, args); } }[name];
  }
  return table;
};

const numbers = (args, count) => {
  if (args.length !== count) return false;
  for (let i = 0; i < count; i++) if (!isFiniteNumber(args[i])) return false;
  return true;
};

const numberList = (args) => {
  if (args.length !== 1 || !isArray(args[0])) return false;
  for (let i = 0; i < args[0].length; i++) if (!isFiniteNumber(args[0][i])) return false;
  return true;
};

const total = (values) => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
};

// What is quicker here than a crossing into the library. Arguments that do not fit go there, so
// that the error is the same as in other languages.
const arithmetic = {
  __proto__: null,
  pow: [2, (base, exponent) => base ** exponent],
  clamp: [3, (value, low, high) => {
    const upper = value < high ? value : high;
    return upper > low ? upper : low;
  }],
  round: [1, (value) => {
    const whole = floor(abs(value)), rounded = abs(value) - whole >= 0.5 ? whole + 1 : whole;
    return value < 0 ? -rounded : rounded;
  }],
  trunc: [1, (value) => trunc(value)],
  sign: [1, (value) => (value > 0) - (value < 0)],
  lerp: [3, (start, end, fraction) => start + (end - start) * fraction],
  sum: [0, total],
  mean: [0, (values) => values.length ? total(values) / values.length : 0],
};

const mathTable = (names) => {
  const table = libraryTable("math", names);
  const known = keys(arithmetic);
  for (let i = 0; i < known.length; i++) {
    const name = known[i], count = arithmetic[name][0], compute = arithmetic[name][1];
    const slow = table[name];
    table[name] = { [name](...args) {
      const fits = count ? numbers(args, count) : numberList(args);
      return fits ? apply(compute, undefined, args) : apply(slow, undefined, args);
    } }[name];
  }
  return table;
};

const sleep = (...args) => {
  const delay = args[0];
  const fits = args.length === 1 && isFiniteNumber(delay) && delay >= 0 && delay <= MAX_SLEEP;
  return new PromiseBase((resolve) => {
    if (!fits) library("util.sleep", args);  // refuses them
    setTimer(resolve, delay, [], false);
  });
};

// --- libraries ----------------------------------------------------------------------------------

const modules = { __proto__: null };  // by name: whom it waits for, who waits for it, its value

// The way from a library to one that waits for it, along what is not done yet; undefined without.
const wayTo = (name, target) => {
  if (name === target) return name;
  const module = modules[name];
  for (let i = 0; module !== undefined && i < module.needs.length; i++) {
    const rest = wayTo(module.needs[i], target);
    if (rest !== undefined) return `${name} -> ${rest}`;
  }
  return undefined;
};

const finish = (name, module, failed, value) => {
  module.done = !failed;
  module.value = value;
  module.needs.length = 0;
  if (failed) delete modules[name];  // who asks again, runs it again
  for (let i = 0; i < module.waiters.length; i++) {
    if (failed) module.waiters[i].reject(value);
    else module.waiters[i].resolve(value);
  }
  module.waiters.length = 0;
};

const LIBRARY = freeze(["library.require", freeze({ __proto__: null }), 0]);

// Ask the host for a library; what comes back is its body, a function.
const fetchModule = (name, site) => {
  const module = { __proto__: null, needs: list(), waiters: list(), done: false, value: undefined };
  send("require", LIBRARY, [name], {
    __proto__: null,
    reply(body) {
      pending--;
      try {
        watch(body(requirer(name)), (value) => finish(name, module, false, value),
          (error) => finish(name, module, true, error));
      } catch (error) {
        finish(name, module, true, error);
      }
    },
    fault(info) { pending--; finish(name, module, true, bridgeError(info, site)); },
  });
  pending++;
  modules[name] = module;
  return module;
};

// `require` as the spell has it, or as the library `from` has it.
const requirer = (from) => freeze(function require(name) {
  const site = new ErrorBase();
  return new PromiseBase((resolve, reject) => {
    const way = from === undefined ? undefined : wayTo(name, from);
    if (way !== undefined) {
      const message = `require: libraries that need each other: ${way} -> ${name}`;
      throw bridgeError({ __proto__: null, kind: "Validation", message, field: "name" }, site);
    }
    const known = typeof name === "string" ? modules[name] : undefined;
    const module = known ?? fetchModule(name, site);
    if (module.done) return resolve(module.value);
    if (from !== undefined && modules[from] !== undefined) append(modules[from].needs, name);
    append(module.waiters, { __proto__: null, resolve, reject });
  });
});

const consoleTable = () => {
  const table = { __proto__: null };
  const levels = ["debug", "info", "log", "warn", "error", "write"];
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i];
    table[level] = { [level](...args) {
      let line = "";
      for (let j = 0; j < args.length; j++) line += (j ? " " : "") + text(args[j]);
      host("log", 0, level, apply(toWellFormed, line, []));
    } }[level];
  }
  return table;
};

const same = (value) => value;

// What makes of a method's result what the spell gets.
const maker = (gives, kinds) => {
  if (gives === "") return same;
  if (gives === "text") return textAnswer;
  if (gives === "texts") return textAnswers;
  return (number) => number === null ? null : newObject(number, kinds[gives], kinds);
};

// A binding is [kind, functions, gives], as on the wire.
const boundMethod = (name, wire, binding, kinds, number) => {
  const crossing = { __proto__: null, functions: binding[1], objects: true, texts: true };
  const target = [wire, freeze(crossing), number], make = maker(binding[2], kinds);
  const streams = binding[0] === "stream";
  return {
    [name](...args) { return streams ? new Stream(target, args, make) : invoke(target, args, make); },
  }[name];
};

// `methods` are [name, wire name, binding]; `kinds` are such lists by kind of object.
const bridgeTable = ({ methods, kinds }) => {
  const table = { __proto__: null };
  setPrototypeOf(kinds, null);
  for (let i = 0; i < methods.length; i++) {
    const name = methods[i][0];
    table[name] = boundMethod(name, methods[i][1], methods[i][2], kinds, 0);
  }
  return table;
};

const define = (name, value) =>
  defineProperty(globalThis, name, { __proto__: null, value, enumerable: false });

// FinalizationRegistry would run code of the spell in the middle of a garbage collection; the rest
// needs a JIT, or shares memory. `debuggerGlobal`, a second global with SpiderMonkey's Debugger in
// it, cannot be deleted, so it is emptied: what is left is an object with nothing in it.
const strip = () => {
  const names = ["FinalizationRegistry", "WebAssembly", "SharedArrayBuffer", "Atomics"];
  for (let i = 0; i < names.length; i++) deleteProperty(globalThis, names[i]);
  const husk = globalThis.debuggerGlobal;
  const inside = ownKeys(husk);
  for (let i = 0; i < inside.length; i++) deleteProperty(husk, inside[i]);
  setPrototypeOf(husk, null);
  preventExtensions(husk);
};

const setUp = (world) => {
  const bridges = keys(world.manifest);
  for (let i = 0; i < bridges.length; i++) {
    const table = bridgeTable(world.manifest[bridges[i]]);
    if (bridges[i] === "library") define("require", table.require = requirer());
    define(bridges[i], frozen(table));
  }
  const json = libraryTable("json", world.library.json);
  json.null = null;
  const util = libraryTable("util", world.library.util);
  util.sleep = sleep;
  define("json", frozen(json));
  define("util", frozen(util));
  define("math", frozen(mathTable(world.library.math)));
  define("env", freeze(setPrototypeOf(world.env, null)));
  define("console", frozen(consoleTable()));
  define("setTimeout", freeze((callback, delay, ...args) => setTimer(callback, delay, args, false)));
  define("setInterval", freeze((callback, delay, ...args) => setTimer(callback, delay, args, true)));
  define("clearTimeout", freeze((id) => clearTimer(id)));
  define("clearInterval", freeze((id) => clearTimer(id)));
  define("queueMicrotask", freeze((callback) => {
    if (typeof callback !== "function") throw new TypeErrorBase("the callback is not a function");
    later(callback);
  }));
};

const later = async (callback) => {
  await undefined;
  callback();
};

// --- the run ------------------------------------------------------------------------------------

const jobs = list();  // promise jobs, appended by the embedding
const rejections = list();  // promise, state, promise, state, ...: appended by the embedding
const unhandled = new MapBase();
const HANDLED = 1;  // JS::PromiseRejectionHandlingState
const JOBS_PER_TURN = 4096;  // bounds what the executed part of `jobs` may hold

const drain = () => {
  let next = 0;
  for (; next < jobs.length && next < JOBS_PER_TURN; next++) {
    const job = jobs[next];
    jobs[next] = undefined;
    job();
  }
  const rest = jobs.length - next;
  for (let i = 0; i < rest; i++) jobs[i] = jobs[next + i];
  jobs.length = rest;
  return rest;
};

const watch = (promise, onValue, onError) => {
  // Own, so that `then` does not ask the prototype which constructor to use.
  defineProperty(promise, "constructor", { __proto__: null, value: undefined });
  apply(then, promise, [onValue, onError]);
};

// Called when no job is left: is the run over? As in Node, a rejection that nobody handles by now
// ends it.
const turn = () => {
  for (let i = 0; i < rejections.length; i += 2) {
    if (rejections[i + 1] === HANDLED) apply(mapDelete, unhandled, [rejections[i]]);
    else apply(mapSet, unhandled, [rejections[i], true]);
  }
  rejections.length = 0;
  let lost;
  apply(mapForEach, unhandled, [(_, promise) => { lost ??= promise; }]);
  if (!finished && lost !== undefined) {
    apply(mapDelete, unhandled, [lost]);
    try {
      watch(lost, undefined, (reason) => fail("unhandled", reason));
    } catch (error) {
      fail("unhandled", error);
    }
    return "jobs";
  }
  if (finished || (settled && pending === 0)) return "done";
  return pending === 0 ? "stuck" : "wait";
};

const run = (main) => {
  const done = (value) => {
    settled = true;
    let payload;
    try {
      payload = pack(value);
    } catch (error) {
      const refused = typeof error === "object" && error !== null
        && apply(weakGet, bridgeErrors, [error])?.info.kind === "Conversion";
      fail(refused ? "conversion" : "error", error);
      return;
    }
    host("result", 0, "", payload);
  };
  try {
    watch(main(), done, (error) => fail("error", error));
  } catch (error) {
    fail("error", error);
  }
};

const check = (source) => {
  try {
    new AsyncFunction(source);
    return "";
  } catch (error) {
    return stringify(describe(error));
  }
};

const called = (id, payload) => {
  if (finished) return;
  const told = unpack(payload);  // [function, arguments]
  perform(id, told[0], told[1]);
};

const deliver = (op, id, payload) => {
  const call = calls[id];
  if (op !== "chunk") delete calls[id];
  if (op === "fault") call.fault(parse(payload));
  else if (op === "module") call.reply(payload);
  else call[op](unpack(payload));
};

return freeze((op, id, payload) => {
  switch (op) {
    case "drain": return drain();
    case "turn": return turn();
    case "timer": return fire(id);
    case "jobs": return jobs;
    case "rejections": return rejections;
    case "strip": return strip();
    case "setup": return setUp(parse(payload));
    case "params": return void define("params", unpack(payload));
    case "check": return check(payload);
    case "run": return run(payload);
    case "invoke": return called(id, payload);
    default: return deliver(op, id, payload);
  }
});
