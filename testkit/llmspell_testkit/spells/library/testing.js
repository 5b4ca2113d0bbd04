// What a test of a spell finds beside what every spell has: put before the text of a *.test.js,
// and given that text as a function. An ordinary script, like the test: it is trusted with nothing.
(() => {
const kit = testkit;

// --- declarations -------------------------------------------------------------------------------

const tests = [], groups = [];
const hooks = [];  // of the groups that are open: each {before: [], after: []}
let current;  // the name of the test that runs
let about;  // the spell that the file is about
let snapshots = 0;

const check = (what, value, kind) => {
  if (typeof value !== kind) throw new TypeError(`${what} is due: a ${kind}, not a ${typeof value}`);
};

const add = (name, body, skipped) => tests.push({
  name: [...groups, name].join(" > "), body, skipped, place: new Error().stack, around: [...hooks],
});

const hook = (kind, name) => (body) => {
  check(`${name}(function): the function`, body, "function");
  hooks[hooks.length - 1][kind].push(body);
};

// --- the spell under test -----------------------------------------------------------------------

let answers = [];
const fakes = {};

const runSpell = async (options = {}) => {
  const request = {spell: about, ...options, answers, fakes};
  answers = [];
  return await kit.runSpell(request);
};

// --- expectations -------------------------------------------------------------------------------

// Made where the expectation is written, so that its stack is that place's, and thrown later.
class ExpectationFailed extends Error {
  details = {};
}
Object.defineProperty(ExpectationFailed.prototype, "name", {value: "Error"});

const isPlain = (value) => {
  try { json.encode(value); return true; } catch { return false; }
};
const shown = (value) => value === undefined ? null : isPlain(value) ? value : String(value);
const brief = (value) => {
  if (value === undefined) return "undefined";
  if (typeof value === "function") return "the function";
  const text = isPlain(value) ? json.encode(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
};

const isObject = (value) => typeof value === "object" && value !== null;
const present = (value) => Object.keys(value).filter((key) => value[key] !== undefined);
const equal = (a, b) => {
  if (Object.is(a, b) || a === b) return true;
  if (!isObject(a) || !isObject(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && a.length === b.length
      && a.every((byte, i) => byte === b[i]);
  }
  const keys = present(a);
  return keys.length === present(b).length
    && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
};
const has = (container, item) => {
  if (typeof container === "string") return typeof item === "string" && container.includes(item);
  return isObject(container) && Object.values(container).some((value) => equal(value, item));
};

// Each gives whether it holds, and what was due in words; the third says to show both values.
const matchers = {
  toBe: (a, b) => [Object.is(a, b), `to be ${brief(b)}`, true],
  toEqual: (a, b) => [equal(a, b), `to equal ${brief(b)}`, true],
  toContain: (a, b) => [has(a, b), `to contain ${brief(b)}`],
  toMatch: (a, pattern) => [typeof a === "string" && new RegExp(pattern).test(a), `to match ${pattern}`],
  toBeNull: (a) => [a === null || a === undefined, "to be null"],
  toBeTruthy: (a) => [Boolean(a), "to be truthy"],
  toBeFalsy: (a) => [!a, "to be falsy"],
  toBeGreaterThan: (a, b) => [a > b, `to be greater than ${brief(b)}`],
  toBeLessThan: (a, b) => [a < b, `to be less than ${brief(b)}`],
  toBeCloseTo: (a, b, within = 0.005) =>
    [Math.abs(a - b) <= within, `to be within ${within} of ${brief(b)}`],
  toHaveLength: (a, b) => [a?.length === b, `to have length ${b} (it has ${brief(a?.length)})`],
};

const raisedBy = async (subject) => {
  try {
    await (typeof subject === "function" ? subject() : subject);
  } catch (error) {
    return {message: String(error?.message ?? error)};
  }
  return undefined;
};

const expectation = (value, never) => {
  const made = {};
  const judge = (failure, held, due, details) => {
    if (held !== never) return;
    failure.message = `expected ${brief(value)} ${never ? "not " : ""}${due}`;
    failure.details = {...details, message: failure.message};
    throw failure;
  };
  for (const [name, matcher] of Object.entries(matchers)) {
    made[name] = (...args) => {
      const [held, due, compared] = matcher(value, ...args);
      const details = compared && !never
        ? {compared: true, expected: shown(args[0]), actual: shown(value)} : {};
      judge(new ExpectationFailed(), held, due, details);
    };
  }
  made.toThrow = async (part) => {
    const failure = new ExpectationFailed();
    const raised = await raisedBy(value);
    const held = raised !== undefined && (part === undefined || raised.message.includes(part));
    const due = part === undefined ? "to throw an error" : `to throw an error with ${brief(part)}`;
    judge(failure, held, raised ? `${due} (it threw ${brief(raised.message)})` : due, {});
  };
  made.toMatchSnapshot = async (name) => {
    const failure = new ExpectationFailed();
    snapshots++;
    const found = await kit.snapshot(`${current} ${name ?? snapshots}`, shown(value));
    if (found.held) return;
    failure.message = found.message;
    failure.details = found.missing ? {message: found.message}
      : {message: found.message, compared: true, expected: found.expected, actual: shown(value)};
    throw failure;
  };
  return made;
};

Object.assign(globalThis, {
  runSpell,
  test(name, body) {
    check("test(name, function): the name", name, "string");
    check("test(name, function): the function", body, "function");
    add(name, body, false);
  },
  skip(name) {
    check("skip(name, function): the name", name, "string");
    add(name, undefined, true);
  },
  describe(name, body) {
    check("describe(name, function): the name", name, "string");
    check("describe(name, function): the function", body, "function");
    groups.push(name);
    hooks.push({before: [], after: []});
    body();
    groups.pop();
    hooks.pop();
  },
  beforeEach: hook("before", "beforeEach"),
  afterEach: hook("after", "afterEach"),
  spell(path) {
    check("spell(path): the path", path, "string");
    about = path;
  },
  model: {
    // What the model answers to the next questions: texts, or {tool: "name", arguments: {}}, or
    // {status: 429, message: "slow down"}.
    script: (...given) => { answers.push(...given); },
    // What models have been sent in this test, oldest first.
    requests: () => kit.requests(),
  },
  // Answers calls of a method in the bridge's place: with each value in turn, the last one again.
  fake(method, ...values) {
    check("fake(method, values): the method", method, "string");
    fakes[method] = values;
  },
  // For `fake`: the call fails.
  fault: (kind, message = "") => ({"@fault": {kind, message}}),
  expect: (value) => Object.assign(expectation(value, false), {not: expectation(value, true)}),
});

// --- the run ------------------------------------------------------------------------------------

const perform = async (chosen) => {
  current = chosen.name;
  try {
    for (const level of chosen.around) for (const body of level.before) await body();
    await chosen.body();
  } catch (error) {
    if (error instanceof ExpectationFailed) await kit.failed(error.details);
    throw error;
  } finally {
    for (const level of [...chosen.around].reverse()) for (const body of level.after) await body();
  }
};

return async (text, file) => {
  const setup = JSON.parse(text);
  hooks.push({before: [], after: []});
  await file();
  if (setup.mode === "collect") {
    await kit.collected(tests.map(({name, skipped, place}) => ({name, skipped, place})));
    return;
  }
  const chosen = tests[setup.index - 1];
  if (chosen?.name !== setup.name) {
    throw new Error(`the file declares other tests than when they were collected: ${setup.name}`);
  }
  await perform(chosen);
};
})()
