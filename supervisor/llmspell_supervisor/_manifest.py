"""`spell.toml` beside a spell: what the spell says about itself.

It comes from whoever wrote the spell, so it is not trusted: it can lower limits and say which
grants the spell needs, and it grants nothing (see `_resolve`).

    spell = "report.lua"            the only spell of the folder that it is about; all without
    [limits]                        any limit of a policy
    timeout = "20s"
    [grants]                        any grant of a policy
    allow_env = ["REPORT_TITLE"]
"""

from __future__ import annotations

import os
from typing import Final

from ._fields import check_fields
from ._policy import GRANTS, KIB, LIMITS
from ._resolve import Layer
from ._spell import Spell
from ._text import escape_line

MANIFEST: Final = "spell.toml"
MAX_MANIFEST: Final = 64 * KIB
"""A stranger's file: room for every field with long lists, and no more."""


def find_manifest(spell: Spell) -> Layer | None:
    """The manifest in the folder of `spell`, if it has one and it is about this spell.

    Raises `ConfigError` that names file, line and key.
    """
    if spell.path is None:
        return None
    folder = os.path.dirname(spell.path)
    path = os.path.join(folder, MANIFEST)
    if not os.path.lexists(path):
        return None
    return _load(path, folder, spell.name)


def _load(path: str, folder: str, name: str) -> Layer | None:
    from ._toml import Document  # only a spell with a manifest pays for TOML

    document = Document.load(path, MAX_MANIFEST)
    document.only("spell", "limits", "grants")
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
    return Layer(escape_line(f"manifest {path}"), values, "manifest")
