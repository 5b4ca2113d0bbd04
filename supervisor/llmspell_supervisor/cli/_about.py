"""What a spell says about itself: `run SPELL --help`, and `info SPELL`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from llmspell_protocol import Parameter

from .._fields import flag_of, show_value
from .._manifest import Manifest
from .._parameters import SpellParameter
from .._policy import GRANTS, LIMITS
from .._resolve import Layer
from .._text import escape_line
from ._arguments import PROGRAM
from ._describe import parameter_rows

_NOTHING = Manifest(layer=Layer("no manifest", {}, "manifest"))


class About(Struct, frozen=True, kw_only=True):
    """What is known of a spell without running it."""

    spell: str
    engine: str
    name: str = ""
    description: str = ""
    parameters: tuple[SpellParameter, ...] | None = None
    """None when the spell declares none, and so takes any."""
    limits: dict[str, Any] = {}
    grants: dict[str, Any] = {}
    """What it needs; it gets that from whoever runs it, or does not run."""


def about(path: str, engine: str | None = None) -> About:
    """About the spell in the file `path`. Raises `SpellError` or `ConfigError`."""
    from ._run import read_spell

    spell, manifest = read_spell(path, engine)
    manifest = manifest or _NOTHING
    values = manifest.layer.values
    declared = manifest.parameters
    return About(
        spell=spell.name,
        engine=spell.engine,
        name=manifest.name,
        description=manifest.description,
        parameters=None if declared is None else tuple(declared.values()),
        limits={name: values[name] for name in LIMITS if name in values},
        grants={name: values[name] for name in (*GRANTS, "jit") if name in values},
    )


def rows(found: About) -> Iterator[str]:
    """Lines for `info`."""
    yield f"spell {escape_line(found.spell)}  ({found.engine})"
    for text in (found.name, found.description):
        if text:
            yield f"  {text}"
    yield from _parameters(found)
    for name, value in found.limits.items():
        yield f"limit {name}: {show_value(name, value)}"
    for name, value in found.grants.items():
        flags = " ".join(_flags(name, value))
        yield f"needs {name}: {show_value(name, value)}" + (f"  ({flags})" if flags else "")


def spell_help(path: str) -> str:
    """The help of one spell, for `run SPELL --help`. Raises as `about`."""
    found = about(path)
    lines = [f"usage: {PROGRAM} run [options] {escape_line(path)} [--param KEY=VALUE ...]", ""]
    lines += [*rows(found), "", f"{PROGRAM} run --help explains the options.", ""]
    return "\n".join(lines)


def _parameters(found: About) -> Iterator[str]:
    if found.parameters is None:
        yield "parameters: any; it declares none"
        return
    yield "parameters" if found.parameters else "parameters: none"
    yield from parameter_rows([_described(p) for p in found.parameters], "  ")


def _described(parameter: SpellParameter) -> Parameter:
    choices = " or ".join(msgspec.json.encode(c).decode() for c in parameter.choices)
    return Parameter(
        name=parameter.name,
        type=choices or parameter.type,
        required=parameter.required,
        default=parameter.default,
        doc=parameter.description,
    )


def _flags(name: str, value: Any) -> Iterator[str]:
    if name in GRANTS:
        yield from (f"{flag_of(name)} {escape_line(item)}" for item in value)
    elif value:
        yield flag_of(name)


def is_spell(topic: str) -> bool:
    """Whether `topic` is a file, and so no name of a bridge or a method."""
    return os.path.isfile(topic)
