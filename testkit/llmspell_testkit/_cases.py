"""Cases as data: one behaviour, written once in each language, expected once.

`cases/THEME.toml` hold the test kit's own, and other packages theirs:

    version = 1

    [[case]]
    name = "a sum"
    value = 2
    source.lua = "return 1 + 1"
    source.javascript = "return 1 + 1"

A value that TOML has no word for is a map with one key: `{"$null" = true}`, `{"$bytes" = "AP8="}`
(base64). A language of which something else is expected says so, and why: `differs.lua.expect = { value = 2.0 }`,
`differs.lua.reason = "..."`.

A further engine is a further column, in a file of its own:

    version = 1
    engine = "abacus"

    [column."a sum"]
    source = "1 + 1"

    [column."a list"]
    unsupported = "there are no lists"
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from llmspell_protocol import ErrorKind
from llmspell_supervisor import Policy, Verdict

T = TypeVar("T")

VERSION: Final = 1
"""Of the format. A file that says another is refused: what it means is not known here."""
FOLDER: Final = Path(__file__).parent / "cases"
SPELL_THEMES: Final = (
    "hello",
    "types",
    "errors",
    "async",
    "bridges",
    "limits",
    "security",
    "speed",
)
"""What every engine is held to, in the order in which to mend it."""


class CaseError(Exception):
    """A file of cases cannot be used: says the file, the case and the field, and what to change."""


class ExpectedError(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The error of a spell that ended badly. A field that is not written is expected to be unset."""

    message: str
    """`*` stands for anything; use it only for what changes from run to run."""
    kind: ErrorKind = "Script"
    line: int | None = None
    retryable: bool = False
    retry_after: float | None = None
    field: str | None = None
    duration: float | None = None


class Expected(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run of a case comes to."""

    value: Any = None
    """Types count: 1 is not 1.0, nor True."""
    verdict: Verdict = "ok"
    error: ExpectedError | None = None
    hint: str = ""
    """What the report's hint has in it."""
    logs: tuple[str, ...] = ()
    """Console entries as `level: text`."""
    calls: Mapping[str, int] | None = None
    """Side effects: how often each method was called. Not looked at if it is not written."""


class Difference(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is expected of one language in place of what the case says; and why it must be."""

    reason: str
    expect: Mapping[str, Any]
    """Fields of `Expected`."""


class Case(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row: a behaviour, how each language writes it, and what it comes to."""

    name: str
    """A sentence; unique among the cases."""
    source: Mapping[str, str]
    """Engine to spell."""
    theme: str = ""
    """The name of the file, without its suffix."""
    description: str = ""
    required: bool = False
    """No engine can do without it: a column may not say `unsupported`."""
    value: Any = None
    verdict: Verdict = "ok"
    error: ExpectedError | None = None
    hint: str = ""
    logs: tuple[str, ...] = ()
    calls: Mapping[str, int] | None = None
    params: Mapping[str, Any] = {}
    policy: Mapping[str, Any] = {}
    answers: tuple[str, ...] = ()
    """What the model says, call by call; each engine gets them anew, and must use them up."""
    threshold: float | None = None
    """Seconds of processor time within which the spell must end; its `cpu` limit."""
    differs: Mapping[str, Difference] = {}

    def expected(self, engine: str) -> Expected:
        """What is expected of one engine."""
        own = {name: getattr(self, name) for name in Expected.__struct_fields__}
        difference = self.differs.get(engine)
        return Expected(**{**own, **(difference.expect if difference else {})})

    def granted(self) -> dict[str, Any]:
        """The fields of the policy that it runs under."""
        own = dict(self.policy)
        return own if self.threshold is None else {**own, "cpu": self.threshold}


class Column(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one engine writes a case, and what is expected of it instead; or why it cannot."""

    source: str = ""
    unsupported: str = ""
    """Why there is no such thing in the language; empty where there is."""
    expect: Mapping[str, Any] = {}
    """Fields of `Expected` in which it differs."""
    reason: str = ""
    """Why it does, where it does."""


class _CaseFile(Struct, forbid_unknown_fields=True):
    version: int
    case: list[Case]


class _ColumnFile(Struct, forbid_unknown_fields=True):
    version: int
    engine: str
    column: dict[str, Column]


def load_cases(*paths: str | os.PathLike[str]) -> tuple[Case, ...]:
    """The cases of some files, in order; the test kit's own for every engine without `paths`.

    Raises `CaseError`.
    """
    chosen = paths or tuple(FOLDER / f"{theme}.toml" for theme in SPELL_THEMES)
    found: dict[str, Case] = {}
    for path in map(Path, chosen):
        for case in _read(path, _CaseFile).case:
            if case.name in found:
                raise CaseError(f"{path}: two cases are called '{case.name}': rename one")
            found[case.name] = _checked(path, case)
    return tuple(found.values())


def load_column(
    path: str | os.PathLike[str], cases: Iterable[Case]
) -> tuple[str, tuple[Case, ...]]:
    """An engine's name, and the cases as it writes them: those that it supports.

    Raises `CaseError`, also for a case that the file does not mention, and for one that no engine may
    leave out.
    """
    shown = Path(path)
    file = _read(shown, _ColumnFile)
    cases = tuple(cases)
    if strange := sorted(file.column.keys() - {case.name for case in cases}):
        raise CaseError(f"{path}: column '{strange[0]}': there is no such case")
    done = []
    for case in cases:
        column = file.column.get(case.name)
        where = f"{path}: column '{case.name}'"
        if column is None:
            raise CaseError(f"{where}: missing; give its `source`, or say why it is `unsupported`")
        if column.unsupported and case.required:
            raise CaseError(f"{where}: unsupported, and no engine can do without it")
        if bool(column.unsupported) == bool(column.source):
            raise CaseError(f"{where}: give either `source` or `unsupported`")
        if column.source:
            done.append(_with_column(where, case, file.engine, column))
    return file.engine, tuple(done)


def _with_column(where: str, case: Case, engine: str, column: Column) -> Case:
    differs = dict(case.differs)
    if column.expect:
        differs[engine] = _difference(where, Difference(reason=column.reason, expect=column.expect))
    sources = {**case.source, engine: column.source}
    return msgspec.structs.replace(case, source=sources, differs=differs)


def _read(path: Path, kind: type[T]) -> T:
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise CaseError(f"{path}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise CaseError(f"{path}: not TOML: {error}") from None
    if data.get("version") != VERSION:
        said = data.get("version", "nothing")
        raise CaseError(f"{path}: version: must be {VERSION}, not {said}")
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise CaseError(f"{path}: {_place(str(error), data)}") from None


def _place(text: str, data: Mapping[str, Any]) -> str:
    """msgspec's finding, with the case that it is about."""
    what, _, steps = text.partition(" - at `$")
    steps = steps.strip("`.")
    if found := re.match(r"case\[(\d+)\]\.?(.*)", steps):
        case = data["case"][int(found[1])]
        name = case.get("name", f"number {int(found[1]) + 1}") if isinstance(case, dict) else "?"
        return f"case '{name}': {found[2] and f'{found[2]}: '}{what}"
    return f"{steps and f'{steps}: '}{what}"


def _checked(path: Path, case: Case) -> Case:
    where = f"{path}: case '{case.name}'"
    if not case.source:
        raise CaseError(f"{where}: source: write it in one language at least")
    for engine, text in case.source.items():
        if not text.strip():
            raise CaseError(f"{where}: source.{engine}: is empty")
    if strange := sorted(case.differs.keys() - case.source.keys()):
        raise CaseError(f"{where}: differs.{strange[0]}: there is no source in that language")
    try:
        Policy(**case.granted())
    except (TypeError, ValueError) as error:
        raise CaseError(f"{where}: policy: {error}") from None
    return msgspec.structs.replace(
        case,
        theme=path.stem,
        value=_unmarked(f"{where}: value", case.value),
        params={n: _unmarked(f"{where}: params.{n}", v) for n, v in case.params.items()},
        differs={
            engine: _difference(f"{where}: differs.{engine}", difference)
            for engine, difference in case.differs.items()
        },
    )


def _difference(where: str, given: Difference) -> Difference:
    """The same, each of its fields checked."""
    if not given.reason.strip():
        raise CaseError(f"{where}: reason: say why it differs")
    expect = dict(given.expect)
    if "value" in expect:
        expect["value"] = _unmarked(f"{where}: value", expect["value"])
    try:
        checked = msgspec.convert(expect, Expected)
    except msgspec.ValidationError as error:
        raise CaseError(f"{where}: {_place(str(error), {})}") from None
    fields = {name: getattr(checked, name) for name in expect}
    return msgspec.structs.replace(given, expect=fields)


def _unmarked(where: str, value: Any) -> Any:
    """A value with what TOML has no word for in place of its marks."""
    if isinstance(value, list):
        return [_unmarked(where, each) for each in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$null": True} if len(value) == 1:
            return None
        case {"$bytes": str() as text} if len(value) == 1:
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error:
                raise CaseError(f"{where}: `$bytes` is not base64: {text[:60]}") from None
    if any(key.startswith("$") for key in value):
        mark = next(key for key in value if key.startswith("$"))
        raise CaseError(f"{where}: unknown mark `{mark}`; there are $null and $bytes")
    return {key: _unmarked(where, each) for key, each in value.items()}
