"""`util`: one implementation, reached from both languages."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.e2e.cross_engine.case import Case, Failed, caught, gives


def digest(algorithm: str) -> Case:
    """Known vectors: nothing, `abc`, text beyond ASCII, and octets."""
    texts = ("", "abc", "ü🌍")
    expected = [hashlib.new(algorithm, t.encode()).hexdigest() for t in texts]
    expected.append(hashlib.new(algorithm, b"\xff\x00").hexdigest())
    name = f'"{algorithm}"'
    return gives(
        f"hash with {algorithm}",
        f'return {{util.hash("", {name}), util.hash("abc", {name}), util.hash("ü🌍", {name}), '
        f'util.hash("\\255\\0", {name})}}',
        f'return ["", "abc", "ü🌍", new Uint8Array([255, 0])].map((x) => util.hash(x, {name}))',
        expected,
    )


def misused(name: str, lua: str, js: str, message: str, field: str | None) -> Case:
    failed = Failed(kind="Validation", message=message, field=field)
    return caught(name, lua, js, failed)


UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"
UUID_JS = "/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/"

CASES: tuple[Any, ...] = (
    gives(
        "a uuid has the shape of version 4",
        f'return util.uuid():find("{UUID}") ~= nil',
        f"return {UUID_JS}.test(util.uuid())",
        True,
    ),
    gives(
        "no two uuids are the same",
        "local seen, n = {}, 0 for _ = 1, 100 do local u = util.uuid() "
        "if not seen[u] then n = n + 1 end seen[u] = true end return n",
        "return new Set(Array.from({ length: 100 }, () => util.uuid())).size",
        100,
    ),
    gives(
        "base64 of text",
        'return {util.base64_encode(""), util.base64_encode("a"), util.base64_encode("ü🌍")}',
        'return ["", "a", "ü🌍"].map((x) => util.base64Encode(x))',
        ["", "YQ==", "w7zwn4yN"],
    ),
    gives(
        "base64 of octets",
        'return util.base64_encode("\\255\\0\\128")',
        "return util.base64Encode(new Uint8Array([255, 0, 128]))",
        "/wCA",
    ),
    gives(
        "base64 back to text",
        'return util.base64_decode("w7zwn4yN")',
        'return util.base64Decode("w7zwn4yN")',
        "ü🌍",
    ),
    gives(
        "base64 back to octets",
        'return util.base64_decode("/wCA")',
        'return util.base64Decode("/wCA")',
        b"\xff\x00\x80",
    ),
    gives(
        "base64 of a long text is one line",
        'return #util.base64_encode(("x"):rep(3000))',
        'return util.base64Encode("x".repeat(3000)).length',
        4000,
    ),
    gives(
        "base64 that is none is refused",
        'local ok, e = pcall(util.base64_decode, "!!") return {e.kind, e.field}',
        'try { util.base64Decode("!!") } catch (e) { return [e.kind, e.field] }',
        ["Validation", "text"],
    ),
    misused(
        "base64 of a number",
        "util.base64_encode(5)",
        "util.base64Encode(5)",
        "data: expected string or bytes",
        "data",
    ),
    *(digest(algorithm) for algorithm in ("sha256", "sha512", "sha1", "md5")),
    gives(
        "hash is sha256 unless it is told",
        'return util.hash("abc") == util.hash("abc", "sha256")',
        'return util.hash("abc") === util.hash("abc", "sha256")',
        True,
    ),
    misused(
        "hash with an algorithm that there is not",
        'util.hash("a", "crc32")',
        'util.hash("a", "crc32")',
        'util.hash: algorithm: must be "sha256" or "sha512" or "sha1" or "md5", not \'crc32\'',
        "algorithm",
    ),
    gives(
        "hash of nothing is refused",
        "local ok, e = pcall(util.hash) return e.kind",
        "try { util.hash() } catch (e) { return e.kind }",
        "Validation",
    ),
    gives(
        "time is now, in seconds",
        "local t = util.time() return t > 1.7e9 and t < 4e9",
        "const t = util.time(); return t > 1.7e9 && t < 4e9",
        True,
    ),
    gives(
        "time goes on while a spell sleeps",
        "local t = util.time() util.sleep(20) t = util.time() - t return t >= 0.019 and t < 10",
        "let t = util.time(); await util.sleep(20); t = util.time() - t; "
        "return t >= 0.019 && t < 10",
        True,
    ),
    gives("sleep gives nothing back", "return util.sleep(0)", "return await util.sleep(0)", None),
    misused(
        "sleep refuses a negative time",
        "util.sleep(-1)",
        "await util.sleep(-1)",
        "util.sleep: milliseconds: expected number >= 0.0",
        "milliseconds",
    ),
    misused(
        "sleep refuses text",
        'util.sleep("1")',
        'await util.sleep("1")',
        "util.sleep: milliseconds: expected number, got string",
        "milliseconds",
    ),
    misused(
        "uuid takes nothing",
        "util.uuid(1)",
        "util.uuid(1)",
        "util.uuid: takes no arguments: uuid() -> string",
        None,
    ),
)
