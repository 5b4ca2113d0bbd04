"""`spell.toml` beside a spell: what the spell says about itself.

It comes from whoever wrote the spell, so it is not trusted: it can lower limits and say which
grants the spell needs, and it grants nothing (see `_resolve`).

    spell = "report.lua"            the only spell of the folder that it is about; all without
    name = "Weekly report"          for people
    description = "..."             likewise
    engine = "lua"                  which engine runs it, whatever its suffix

    [params.topic]                  a parameter; with one, there are no others
    type = "string"                 or integer, number, boolean, list, map
    description = "..."
    required = true                 or default = "...", or neither: it may be absent then
    choices = ["a", "b"]            the only values, if there are some

    [limits]                        any limit of a policy
    timeout = "20s"
    [grants]                        any grant of a policy
    allow_env = ["REPORT_TITLE"]
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from ._fields import check_fields
from ._policy import GRANTS, KIB, LIMITS
from ._resolve import Layer
from ._text import escape_line, nearest, truncate

if TYPE_CHECKING:
    from ._parameters import SpellParameter
    from ._toml import Document

MANIFEST: Final = "spell.toml"
MAX_MANIFEST: Final = 64 * KIB
"""A stranger's file: room for every field with long lists, and no more."""
MAX_TEXT: Final = 1000
"""Characters of a name or a description: a person reads them in a terminal."""
_TEXTS: Final = ("name", "description", "engine")
_PARAMETER: Final = ("type", "description", "required", "default", "choices")


class Manifest(Struct, frozen=True, kw_only=True):
    """What a manifest says, checked."""

    layer: Layer
    """Its limits and grants."""
    name: str = ""
    description: str = ""
    engine: str | None = None
    parameters: dict[str, SpellParameter] | None = None
    """By name; None when it declares none: the spell takes any then."""


def find_manifest(spell: str) -> Manifest | None:
    """The manifest in the folder of the file `spell`, if there is one and it is about this spell.

    Raises `ConfigError` that names file, line and key.
    """
    folder, name = os.path.split(os.path.abspath(spell))
    path = os.path.join(folder, MANIFEST)
    if not os.path.lexists(path):
        return None
    return _load(path, folder, name)


def _load(path: str, folder: str, name: str) -> Manifest | None:
    from ._toml import Document  # only a spell with a manifest pays for TOML

    document = Document.load(path, MAX_MANIFEST)
    document.only("spell", *_TEXTS, "params", "limits", "grants")
    about = document.data.get("spell")
    if about is not None and not isinstance(about, str):
        raise document.error("spell", "is not a file name")
    if about is not None and about != name:
        return None
    values = {
        **check_fields(
            document.table("limits"),
            base=folder,
            fail=document.fail_in("limits"),
            allowed=tuple(LIMITS),
        ),
        **check_fields(
            document.table("grants"),
            base=folder,
            fail=document.fail_in("grants"),
            allowed=(*GRANTS, "jit"),
        ),
    }
    texts = {
        key: _text(document, key, document.data[key]) for key in _TEXTS if key in document.data
    }
    if "engine" in texts:
        _check_engine(document, texts["engine"])
    return Manifest(
        layer=Layer(escape_line(f"manifest {path}"), values, "manifest"),
        parameters=_parameters(document) if "params" in document.data else None,
        **texts,
    )


def _text(document: Document, key: str, value: Any) -> str:
    """One line of text, safe to show."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise document.error(key, f"is not a text of at most {MAX_TEXT} characters")
    return escape_line(" ".join(value.split()))


def _check_engine(document: Document, engine: str) -> None:
    from ._errors import SpellError
    from ._spell import check_engine

    try:
        check_engine(engine)
    except SpellError as error:
        raise document.error("engine", str(error)) from None


def _parameters(document: Document) -> dict[str, SpellParameter]:
    table = document.table("params")
    return {name: _parameter(document, name, table[name]) for name in table}


def _parameter(document: Document, name: str, fields: Any) -> SpellParameter:
    from ._parameters import TYPES, SpellParameter

    key = _key(document, name, fields)
    kind = fields.get("type")
    if kind not in TYPES:
        near = nearest(kind, TYPES) if isinstance(kind, str) else ""
        raise document.error(f"{key}.type", f"is not one of {', '.join(TYPES)}{near}")
    choices, required = fields.get("choices", []), fields.get("required", False)
    bare = SpellParameter(name=name, type=kind)
    if not isinstance(choices, list) or not all(bare.fits(choice) for choice in choices):
        raise document.error(f"{key}.choices", f"is not a list, each of it {bare.due}")
    if not isinstance(required, bool):
        raise document.error(f"{key}.required", "is not true or false")
    parameter = SpellParameter(
        name=name,
        type=kind,
        description=_text(document, f"{key}.description", fields.get("description", "")),
        required=required,
        default=fields.get("default"),
        choices=tuple(choices),
    )
    if "default" in fields and (required or not parameter.fits(parameter.default)):
        reason = "what is required has no default" if required else f"is not {parameter.due}"
        raise document.error(f"{key}.default", reason)
    return parameter


def _key(document: Document, name: str, fields: Any) -> str:
    """The dotted key of a parameter, whose name and whose keys are as they may be."""
    shown = escape_line(truncate(name, 60))
    key = f"params.{shown}"
    if not name or shown != name or "=" in name or name.endswith(":"):
        raise document.error(key, "is not a name for a parameter")
    if not isinstance(fields, dict):
        raise document.error(key, f"is not a table: write [{key}]")
    for field in fields:
        if field not in _PARAMETER:
            wrong = escape_line(truncate(field, 60))
            raise document.error(f"{key}.{wrong}", f"unknown key{nearest(wrong, _PARAMETER)}")
    return key
