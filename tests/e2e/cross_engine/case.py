"""What a case of the table is: one behaviour, written once in each language, expected once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmspell_protocol import ErrorKind
from llmspell_supervisor import Verdict
from llmspell_testkit.model_server import Scripted

Language = str
"""`lua` or `javascript`."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The error of a spell that ended badly. A field that is not written is expected to be unset."""

    message: str
    """`*` stands for anything; use it only for what changes from run to run."""
    kind: ErrorKind = "Script"
    line: int | None = None
    column: int | None = None
    """Compared for syntax errors only: Lua knows no column of an error at run time."""
    retryable: bool = False
    retry_after: float | None = None
    field: str | None = None
    duration: float | None = None


@dataclass(frozen=True, kw_only=True)
class Differs:
    """Where the languages cannot be the same: what to expect in each instead, and why."""

    reason: str
    lua: Mapping[str, Any] = field(default_factory=dict)
    js: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table. What is expected counts for both languages."""

    name: str
    """A sentence; unique in the table."""
    lua: str
    js: str
    value: Any = None
    """Types count: 1 is not 1.0, nor True."""
    verdict: Verdict = "ok"
    failed: Failed | None = None
    logs: tuple[str, ...] = ()
    """Console entries as `level: text`."""
    params: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables of the supervisor."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    answers: tuple[Scripted, ...] = ()
    """What the model says, call by call. Each language gets them anew, and must use them up."""
    folder: bool = False
    """The bridge `fs` is granted, with a new directory to read and write."""
    web: bool = False
    """The bridge `http` is granted, and a web server whose address is `params.web`."""
    differs: Differs | None = None

    def expected(self, language: Language) -> Case:
        """The case with what is expected of one language."""
        if self.differs is None:
            return self
        special = self.differs.lua if language == "lua" else self.differs.js
        return dataclasses.replace(self, **special)

    def source(self, language: Language) -> str:
        """What is run."""
        return self.lua if language == "lua" else self.js


def gives(name: str, lua: str, js: str, value: Any = None, **more: Any) -> Case:
    """The spell ends well with `value`."""
    return Case(name=name, lua=lua, js=js, value=value, **more)


def fails(name: str, lua: str, js: str, failed: Failed, **more: Any) -> Case:
    """The spell ends with an error that nobody caught."""
    more = {"verdict": "script_error", **more}
    return Case(name=name, lua=lua, js=js, failed=failed, **more)


def refused(name: str, lua: str, js: str, message: str, field: str = "$", **more: Any) -> Case:
    """The spell ends because a value cannot cross: the returned one, unless `field` says other."""
    failed = Failed(kind="Conversion", message=message, field=field, **more)
    return fails(name, lua, js, failed)


_CATCH_LUA = """\
local ok, e = pcall(function()
{body}
end)
if ok then return "nothing was raised" end
return {{
  kind = e.kind, message = e.message, retryable = e.retryable, field = e.field or json.null,
  retry_after = e.retry_after or json.null, duration = e.duration or json.null,
}}
"""
_CATCH_JS = """\
try {{
{body}
}} catch (e) {{
  const {{ kind, message, retryable, field, retry_after, duration }} = e;
  return {{ kind, message, retryable, field, retry_after, duration }};
}}
return "nothing was raised";
"""


def caught(name: str, lua: str, js: str, failed: Failed, **more: Any) -> Case:
    """The spell catches what the code raises and sees `failed`, every field of it."""
    seen = {f: getattr(failed, f) for f in ("kind", "message", "retryable", "field")}
    seen |= {"retry_after": failed.retry_after, "duration": failed.duration}
    sources = _CATCH_LUA.format(body=lua), _CATCH_JS.format(body=js)
    return Case(name=name, lua=sources[0], js=sources[1], value=seen, **more)
