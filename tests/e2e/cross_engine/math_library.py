"""`math`: what both languages gain, with the same results."""

from __future__ import annotations

from typing import Any

from tests.e2e.cross_engine.case import Case, Failed, caught, gives


def computes(name: str, *calls: tuple[str, Any]) -> Case:
    """Calls that are written the same in both languages, but for lists, and their results."""
    sources = [call for call, _ in calls]
    lua = "return {" + ", ".join(f"math.{call}" for call in sources) + "}"
    js = "return [" + ", ".join(f"math.{_listed(call)}" for call in sources) + "]"
    return gives(name, lua, js, [result for _, result in calls])


def _listed(call: str) -> str:
    return call.replace("{", "[").replace("}", "]")


def misused(name: str, lua: str, js: str, message: str, field: str | None) -> Case:
    return caught(name, lua, js, Failed(kind="Validation", message=message, field=field))


CASES = (
    computes(
        "pow",
        ("pow(2, 10)", 1024),
        ("pow(2, -1)", 0.5),
        ("pow(2, 0.5)", 2**0.5),
        ("pow(-2, 3)", -8),
        ("pow(0, 0)", 1),
    ),
    computes(
        "from 2^53 on a result is a float",
        ("pow(2, 53)", 2.0**53),
        ("pow(2, 64)", 2.0**64),
        ("sum({9007199254740990, 1})", 2**53 - 1),
        ("sum({9007199254740991, 1})", 2.0**53),
    ),
    computes(
        "clamp",
        ("clamp(5, 1, 3)", 3),
        ("clamp(-5, 1, 3)", 1),
        ("clamp(2, 1, 3)", 2),
        ("clamp(2.5, 1, 3)", 2.5),
    ),
    computes(
        "round halves away from zero",
        ("round(0.5)", 1),
        ("round(-0.5)", -1),
        ("round(2.5)", 3),
        ("round(2.4)", 2),
        ("round(-2.5)", -3),
        ("round(7)", 7),
    ),
    computes("round just below a half", ("round(0.49999999999999994)", 0)),
    computes("trunc", ("trunc(2.9)", 2), ("trunc(-2.9)", -2), ("trunc(0)", 0), ("trunc(3)", 3)),
    computes("sign", ("sign(12)", 1), ("sign(-0.5)", -1), ("sign(0)", 0)),
    computes(
        "lerp",
        ("lerp(0, 10, 0.25)", 2.5),
        ("lerp(10, 20, 0)", 10),
        ("lerp(10, 20, 1)", 20),
        ("lerp(0, 1, 2)", 2),
    ),
    computes(
        "sum",
        ("sum({1, 2, 3})", 6),
        ("sum({})", 0),
        ("sum({0.1, 0.2})", 0.1 + 0.2),
        ("sum({1e16, 1, -1e16})", 0),
    ),
    computes("mean", ("mean({1, 2})", 1.5), ("mean({})", 0), ("mean({2, 4})", 3)),
    computes(
        "median",
        ("median({3, 1, 2})", 2),
        ("median({4, 1, 3, 2})", 2.5),
        ("median({})", 0),
        ("median({5})", 5),
        ("median({10, 9, 100})", 10),
    ),
    computes("a list is not changed by its median", ("median({3, 1, 2})", 2)),
    gives(
        "pow of numbers that give none",
        "local x = math.pow(-1, 0.5) return {x ~= x, math.pow(0, -1) == math.huge}",
        "const x = math.pow(-1, 0.5); return [x !== x, math.pow(0, -1) === Infinity]",
        [True, True],
    ),
    gives(
        "numbers and results of 64 bits",
        "return {math.clamp(math.maxinteger, 0, 5), math.sign(math.mininteger)}",
        "return [math.clamp(2n ** 63n - 1n, 0, 5), math.sign(-(2n ** 63n))]",
        [5, -1],
    ),
    misused(
        "mean refuses too many arguments",
        "math.mean({1}, {2})",
        "math.mean([1], [2])",
        "math.mean: takes 1 argument: mean(values: list of number) -> number",
        None,
    ),
    misused(
        "round refuses text",
        'math.round("1")',
        'math.round("1")',
        "math.round: value: expected number, got string",
        "value",
    ),
    misused(
        "sum refuses what is no number",
        'math.sum({1, "x"})',
        'math.sum([1, "x"])',
        "math.sum: values[1]: expected number, got string",
        "values[1]",
    ),
    misused(
        "sum refuses a map",
        "math.sum({a = 1})",
        "math.sum({ a: 1 })",
        "math.sum: values: expected list, got map",
        "values",
    ),
    misused(
        "mean refuses a number",
        "math.mean(1)",
        "math.mean(1)",
        "math.mean: values: expected list, got integer",
        "values",
    ),
    misused(
        "clamp refuses text in the last place",
        'math.clamp(1, 2, "x")',
        'math.clamp(1, 2, "x")',
        "math.clamp: high: expected number, got string",
        "high",
    ),
    misused(
        "sign refuses too many arguments",
        "math.sign(1, 2)",
        "math.sign(1, 2)",
        "math.sign: takes 1 argument: sign(value: number) -> number",
        None,
    ),
    misused(
        "sign refuses nothing",
        "math.sign()",
        "math.sign()",
        "math.sign: takes 1 argument: sign(value: number) -> number",
        None,
    ),
    caught(
        "trunc refuses infinity",
        "math.trunc(math.huge)",
        "math.trunc(Infinity)",
        Failed(
            kind="Conversion",
            message="NaN and infinities cannot cross at argument 1",
            field="argument 1",
        ),
    ),
    caught(
        "sum refuses NaN",
        "math.sum({1, 0 / 0})",
        "math.sum([1, NaN])",
        Failed(
            kind="Conversion",
            message="NaN and infinities cannot cross at argument 1[1]",
            field="argument 1[1]",
        ),
    ),
    misused(
        "sum refuses nothing",
        "math.sum()",
        "math.sum()",
        "math.sum: takes 1 argument: sum(values: list of number) -> number",
        None,
    ),
)
