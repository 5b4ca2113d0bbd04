// Put before a spell that is recorded or replayed: the same chances and the same clock each time.
// The clock begins when the recording did, and goes on by a millisecond whenever it is read, and
// by what the spell sleeps.
((text) => {
const setup = JSON.parse(text);
let now = setup.clock;
const tick = () => ++now;
const reach = (moment) => { if (now < moment) now = moment; };

// --- the clock ----------------------------------------------------------------------------------

const NativeDate = Date;
function FixedDate(...args) {
  if (new.target === undefined) return new NativeDate(tick()).toString();
  const kind = new.target === FixedDate ? NativeDate : new.target;
  return Reflect.construct(NativeDate, args.length ? args : [tick()], kind);
}
Object.defineProperties(FixedDate, {
  name: {value: "Date"}, length: {value: 7}, prototype: {value: NativeDate.prototype},
  now: {value: tick, writable: true, configurable: true},
  UTC: {value: NativeDate.UTC, writable: true, configurable: true},
  parse: {value: NativeDate.parse, writable: true, configurable: true},
});
NativeDate.prototype.constructor = FixedDate;
globalThis.Date = FixedDate;

const formats = Intl.DateTimeFormat.prototype;
const formatOf = Object.getOwnPropertyDescriptor(formats, "format").get;
Object.defineProperty(formats, "format", {configurable: true, get() {
  const format = Reflect.apply(formatOf, this, []);
  return (date) => format(date === undefined ? tick() : date);
}});
const partsOf = formats.formatToParts;
formats.formatToParts = function formatToParts(date) {
  return Reflect.apply(partsOf, this, [date === undefined ? tick() : date]);
};

// Timers are streams of the host's, which keeps the order of all that comes from outside.
const clock = recorded_clock;
const timers = new Map();
let lastTimer = 0;
const span = (delay) => (+delay > 1 ? Math.min(+delay, 2 ** 31 - 1) : 1);
const wait = (delay, callback) => {
  const due = now + Math.floor(delay), stream = clock.wait(delay);
  (async () => {
    const {done} = await stream.next();
    if (done) return;
    reach(due);
    callback();
  })();
  return stream;
};
const setTimer = (callback, delay, args, again) => {
  if (typeof callback !== "function") return setTimeout(callback, delay);  // which refuses it
  const id = ++lastTimer;
  const arm = () => timers.set(id, wait(span(delay), () => {
    if (again) arm();
    else timers.delete(id);
    callback(...args);
  }));
  arm();
  return id;
};
const clearTimer = (id) => {
  timers.get(id)?.return();
  timers.delete(id);
};
const MAX_SLEEP = 24 * 60 * 60 * 1000;
const sleep = (...args) => {
  const [delay] = args;
  const fits = args.length === 1 && typeof delay === "number" && delay >= 0 && delay <= MAX_SLEEP;
  return fits ? new Promise((resolve) => wait(delay, resolve)) : util.sleep(...args);
};

// --- chances ------------------------------------------------------------------------------------

const generator = (a, b, c, d) => () => {  // sfc32
  const t = (a + b | 0) + d | 0;
  d = d + 1 | 0;
  a = b ^ b >>> 9;
  b = c + (c << 3) | 0;
  c = (c << 21 | c >>> 11) + t | 0;
  return t >>> 0;
};
const [a, b, c, d] = setup.seed;
const draw = generator(a, b, c, d), drawApart = generator(d, c, b, a);
for (let i = 0; i < 16; i++) { draw(); drawApart(); }
Math.random = () => (draw() * 2 ** 21 + (draw() >>> 11)) / 2 ** 53;

const hex = (number, digits) => number.toString(16).padStart(digits, "0");
const fixedUtil = Object.freeze({__proto__: null, ...util,
  time: () => tick() / 1000,
  uuid: () => {
    const [w, x, y, z] = [drawApart(), drawApart(), drawApart(), drawApart()];
    return `${hex(w, 8)}-${hex(x >>> 16, 4)}-4${hex(x & 0xfff, 3)}-`
      + `${hex((y >>> 16 & 0x3fff) | 0x8000, 4)}-${hex(y & 0xffff, 4)}${hex(z, 8)}`;
  },
  sleep,
});

const shadow = Object.freeze({
  util: fixedUtil,
  setTimeout: (callback, delay, ...args) => setTimer(callback, delay, args, false),
  setInterval: (callback, delay, ...args) => setTimer(callback, delay, args, true),
  clearTimeout: (id) => clearTimer(id),
  clearInterval: (id) => clearTimer(id),
});
Object.defineProperty(globalThis, "__kit", {value: shadow});  // for libraries
return {shadow, run: (file) => file()};
})
