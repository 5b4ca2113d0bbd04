"""`run --learn`: the least manifest that a run needed, from what its calls noted and it used.

Limits are rounded up, times and memory after half as much again: they vary from run to run. A grant
stands in it if a call made use of it; which granted variables a spell reads its worker does not
tell, so those are meant that its text mentions.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from llmspell_bridges import is_granted

from .._errors import UsageError
from .._parameters import SpellParameter
from .._policy import KIB, LIMITS, MIN_MEMORY
from .._text import escape_line
from .._units import write_units
from ._arguments import PROGRAM

if TYPE_CHECKING:
    from .._manifest import Manifest
    from .._policy import Policy
    from .._record import CallRecord
    from .._report import RunReport
    from .._spell import Spell

_MARGIN: Final = 1.5
"""What a second run may take of time and memory, in measures of the first."""
_LEAST_TIME: Final = 1.0
"""Seconds: what is shorter is the machine's mood."""
_BARE_KEY: Final = r"[A-Za-z0-9_-]+"
_NOTED: Final = {
    "allow_domain": "domain",
    "allow_read": "read",
    "allow_write": "write",
    "allow_models": "model",
    "libraries": "library",
    "allow_bridges": "bridge",
}
"""Each grant, and what a bridge calls it that tells the use of it (`CallContext.touch`)."""
_HEAD: Final = """\
# What one run of {spell} needed, as {program} run --learn wrote it down.
# Limits are rounded up. A run that takes another way may need more.
"""


class Lesson:
    """What the calls of one run needed. `observe` is told of each."""

    def __init__(self) -> None:
        self._methods: set[str] = set()
        self._noted: dict[str, set[str]] = {name: set() for name in _NOTED}
        self._request = self._response = 0
        self._longest = 0.0

    def observe(self, record: CallRecord) -> None:
        """Learn from a call that was made; one that was refused needed nothing."""
        if record.outcome == "Policy":
            return
        self._longest = max(self._longest, record.duration)
        for grant, note in _NOTED.items():
            value = record.detail.get(note, [])
            self._noted[grant].update(value if isinstance(value, list) else [str(value)])
        if record.nested:  # which is granted with the call that made it, and did not cross
            return
        self._methods.add(record.method)
        self._request = max(self._request, record.args_size)
        self._response = max(self._response, record.size)

    def limits(self, report: RunReport) -> dict[str, float]:
        """The least limits, none above those of the run."""
        used, policy = report.usage, report.policy
        wanted = {
            "memory": max(_power(used.peak_memory * _MARGIN), MIN_MEMORY),
            "cpu": _steps(max(used.cpu * _MARGIN, _LEAST_TIME)),
            "timeout": _steps(max(used.wall * _MARGIN, _LEAST_TIME)),
            "max_output": _power(used.output),
            "max_calls": _steps(sum(used.calls.values())),
            "max_request": _power(self._request),
            "max_response": _power(self._response),
            "request_timeout": _steps(max(self._longest * _MARGIN, _LEAST_TIME)),
            "max_tokens": _steps(used.most_tokens),
            "max_cost": _steps(used.most_cost),
        }
        return {name: min(value, getattr(policy, name)) for name, value in wanted.items()}

    def grants(self, spell: Spell, policy: Policy) -> dict[str, list[str]]:
        """The least grants: empty lists, too, which give up what is granted unasked."""
        needed = {grant: set(values) for grant, values in self._noted.items()}
        for grant in ("allow_read", "allow_write"):
            needed[grant] = _outermost(needed[grant])
        mentioned = set(re.findall(r"\w+", spell.source))
        needed["allow_env"] = set(policy.allow_env) & mentioned
        # What a folder of libraries brings needs no grant of its own.
        brought = "library." if policy.libraries else "\0"
        # A bridge through which another one works must be granted whole.
        whole = needed["allow_bridges"]
        needed["allow_bridges"] = whole | {
            m for m in self._methods if not m.startswith(brought) and not is_granted(m, whole)
        }
        return {grant: sorted(values) for grant, values in sorted(needed.items())}


def manifest_text(
    lesson: Lesson, spell: Spell, params: Mapping[str, Any], report: RunReport, old: Manifest | None
) -> str:
    """The manifest. What `old` says for people, and of its parameters, stays."""
    lines = [_HEAD.format(spell=escape_line(spell.name), program=PROGRAM).rstrip()]
    if spell.path is not None:
        lines.append(f"spell = {_toml(spell.name)}")
    texts = {"name": old.name, "description": old.description} if old else {}
    lines += [f"{key} = {_toml(text)}" for key, text in texts.items() if text]
    lines.append(f"engine = {_toml(spell.engine)}")
    declared = old.parameters if old else None
    for parameter in declared.values() if declared is not None else _given(params):
        lines += _parameter(parameter)
    lines += ["", "[limits]"]
    for name, value in lesson.limits(report).items():
        written = (
            write_units(value, LIMITS[name]) if LIMITS[name] in ("bytes", "seconds") else value
        )
        lines.append(f"{name} = {_toml(written)}")
    lines += ["", "[grants]"]
    for name, values in lesson.grants(spell, report.policy).items():
        lines.append(f"{name} = {_toml(values)}")
    if report.policy.jit:
        lines.append("jit = true")
    return "\n".join(lines) + "\n"


def check_target(path: str, *, force: bool) -> None:
    """Refuse what cannot be written, before a run costs something. Raises `UsageError`."""
    shown = escape_line(path)
    if path == "-":
        return
    if os.path.lexists(path) and not force:
        raise UsageError(f"--learn: {shown} is there already", "--force overwrites it")
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(os.path.abspath(path))):
        raise UsageError(
            f"--learn: {shown} cannot be written", "name a file in a folder that exists"
        )


def _given(params: Mapping[str, Any]) -> Iterator[SpellParameter]:
    """The parameters that the run was given, as a spell would declare them."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "list"}
    for name, value in params.items():
        if value is not None:
            yield SpellParameter(name=name, type=kinds.get(type(value), "map"))


def _parameter(parameter: SpellParameter) -> Iterator[str]:
    yield ""
    yield f"[params.{_key(parameter.name)}]"
    yield f"type = {_toml(parameter.type)}"
    if parameter.description:
        yield f"description = {_toml(parameter.description)}"
    if parameter.required:
        yield "required = true"
    if parameter.default is not None:
        yield f"default = {_toml(parameter.default)}"
    if parameter.choices:
        yield f"choices = {_toml(list(parameter.choices))}"


def _outermost(paths: Iterable[str]) -> set[str]:
    """The folders of `paths` that lie in no other one of them."""
    folders = {_folder(path) for path in paths if path.startswith("/")}
    return {f for f in folders if not any(f.startswith(g.rstrip("/") + "/") for g in folders)}


def _folder(path: str) -> str:
    """The nearest folder that there is: what a run has removed cannot be granted."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _power(size: float) -> int:
    """The next power of two, at least a kibibyte."""
    return max(KIB, 1 << max(0, math.ceil(size) - 1).bit_length())


def _steps(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50, ... and of their tenths; 0 for nothing."""
    if value <= 0:
        return 0
    scale = 10 ** math.floor(math.log10(value))
    step = next(n for n in (1, 2, 5, 10) if n * scale >= value * (1 - 1e-9))
    found = round(step * scale, 12)
    return int(found) if found >= 1 else found


def _key(name: str) -> str:
    return name if re.fullmatch(_BARE_KEY, name) else _toml(name)


def _toml(value: Any) -> str:
    """A value as TOML writes it: as JSON does, but for tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return msgspec.json.encode(value).decode()
