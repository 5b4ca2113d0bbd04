// What the prelude uses of the language, taken before a spell can change any of it. Nothing below
// may look up a method through a prototype: no for-of, no spread, no `array.push`.
const ErrorBase = Error, TypeErrorBase = TypeError, Uint8ArrayBase = Uint8Array, PromiseBase = Promise, MapBase = Map, WeakMapBase = WeakMap;
const { apply, ownKeys, deleteProperty } = Reflect;
const { defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf, hasOwn, keys,
  preventExtensions, setPrototypeOf } = Object;
const { isArray } = Array;
const { isSafeInteger, isInteger, isFinite: isFiniteNumber } = Number;
const { parse, stringify } = JSON;
const { abs, floor, trunc } = Math;
const AsyncFunction = getPrototypeOf(async function () {}).constructor;
const BigIntOf = BigInt;
const StringOf = String;
const fromBase64 = Uint8Array.fromBase64;
const toBase64 = Uint8Array.prototype.toBase64;
const typedArrayTag = getOwnPropertyDescriptor(
  getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get;
const stackGetter = getOwnPropertyDescriptor(Error.prototype, "stack").get;
const tagOf = Object.prototype.toString;
const symbolText = Symbol.prototype.toString;
const dateText = Date.prototype.toISOString;
const { indexOf, isWellFormed, slice, toWellFormed } = String.prototype;
const matches = RegExp.prototype.test;
const then = Promise.prototype.then;
const mapGet = Map.prototype.get, mapSet = Map.prototype.set, mapDelete = Map.prototype.delete;
const mapForEach = Map.prototype.forEach, setForEach = Set.prototype.forEach;
const weakGet = WeakMap.prototype.get, weakSet = WeakMap.prototype.set;
const objectPrototype = Object.prototype, stringPrototype = String.prototype;

const list = () => setPrototypeOf([], null);  // an array that no polluted prototype can reach
const append = (array, value) => { array[array.length] = value; };

// The stack of a real error, undefined for whatever else was thrown.
const stackOf = (error) => {
  if (typeof error !== "object" || error === null) return undefined;
  try { return apply(stackGetter, error, []); } catch { return undefined; }
};

const rules = freeze(parse(rulesText));  // the reasons and caps that every engine shares
