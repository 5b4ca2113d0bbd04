// What is more than data: functions of the spell that the host may call, objects of the host, and
// answers that work as text.

// --- functions --------------------------------------------------------------------------------

const functions = list();  // by number - 1; kept for the rest of the run
const functionNumbers = new MapBase();

// The number of a function, always the same one; undefined when there are too many.
const functionNumber = (value) => {
  let number = apply(mapGet, functionNumbers, [value]);
  if (number === undefined && functions.length < rules.functions) {
    append(functions, value);
    number = functions.length;
    apply(mapSet, functionNumbers, [value, number]);
  }
  return number;
};

let invoked = 0;  // functions that the host waits for

// The promise that an async function returns settles with nothing and is seen by nobody, so nothing
// that a spell has put into prototypes is asked. Only what its own function returns is awaited.
const perform = async (id, number, args) => {
  const called = functions[number - 1];
  if (called === undefined) return refuseCall(id, "Internal", rules.unknown);
  if (invoked >= rules.nesting) return refuseCall(id, "Limit", rules.nested);
  invoked++;
  let payload;
  try {
    payload = pack(await apply(called, undefined, args), "$", RETURNED);
  } catch (error) {
    host("refuse", id, "", stringify(describe(error)));
    return;
  } finally {
    invoked--;
  }
  host("give", id, "", payload);
};

const refuseCall = (id, kind, message) =>
  void host("refuse", id, "", stringify({ __proto__: null, kind, message }));

// --- objects ----------------------------------------------------------------------------------

const objectNumbers = new WeakMapBase();

// An object of the host; `methods` are [name, wire name, binding] of its kind.
const newObject = (number, methods, kinds) => {
  const object = { __proto__: null };
  for (let i = 0; i < methods.length; i++) {
    object[methods[i][0]] = boundMethod(methods[i][0], methods[i][1], methods[i][2], kinds, number);
  }
  apply(weakSet, objectNumbers, [frozen(object), number]);
  return object;
};

// --- answers that work as text ------------------------------------------------------------------

const texts = new WeakMapBase();  // answers to their texts
const textOf = (value) => typeof value === "object" && value !== null
  ? apply(weakGet, texts, [value]) ?? value : value;

// The methods of strings as they are at the start, for what is a text without being a string.
const textPrototype = (() => {
  const prototype = { __proto__: null };
  const names = ownKeys(stringPrototype);
  for (let i = 0; i < names.length; i++) {
    const method = getOwnPropertyDescriptor(stringPrototype, names[i]).value;
    if (typeof method !== "function" || names[i] === "constructor") continue;
    defineProperty(prototype, names[i], {
      __proto__: null, value(...args) { return apply(method, textOf(this), args); },
    });
  }
  defineProperty(prototype, "length", {
    __proto__: null, get() { return textOf(this).length; },
  });
  return freeze(prototype);
})();

// The same object, which now is its text `content` as well.
const textAnswer = (answer) => {
  if (typeof answer !== "object" || answer === null) return answer;
  const content = getOwnPropertyDescriptor(answer, "content")?.value;
  if (typeof content === "string") {
    apply(weakSet, texts, [setPrototypeOf(answer, textPrototype), content]);
  }
  return answer;
};

const textAnswers = (answers) => {
  if (isArray(answers)) for (let i = 0; i < answers.length; i++) textAnswer(answers[i]);
  return answers;
};
