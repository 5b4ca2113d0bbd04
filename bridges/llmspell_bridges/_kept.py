"""What bridges keep after a run: where, and whose it is."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta

from ._context import CallContext
from ._errors import BridgeError
from ._interface import BridgeConfig

MAX_NAME: Final = 200
"""Characters of a name that a script gives to what it keeps: an index of them stays small."""


class StateConfig(BridgeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every bridge that keeps something can be told."""

    directory: Annotated[
        str | None, Meta(description="where the files are; the user's state directory, if not said")
    ] = None
    scope: Annotated[
        Literal["spell", "tenant"],
        Meta(description="who shares: the runs of one spell, or all runs under this config"),
    ] = "spell"
    tenant: Annotated[
        str, Meta(min_length=1, max_length=MAX_NAME, description="whose runs these are")
    ] = "default"


def state_directory(
    config: StateConfig, field: str, environ: Mapping[str, str] = os.environ
) -> str:
    """Where the files are; made, for its owner alone, if there is none yet.

    Without a configured one: in `LLMSPELL_HOME`, else `XDG_STATE_HOME`, else `~/.local/state`.
    Raises `BridgeError` of kind `Configuration` that names `field`.
    """
    path = config.directory or _default(environ)
    if not os.path.isabs(path):
        raise BridgeError("Configuration", f"{field} must be an absolute path", field=field)
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        message = f"{field}: the state directory cannot be made: {error.strerror}"
        raise BridgeError("Configuration", message, field=field) from None
    return path


def _default(environ: Mapping[str, str]) -> str:
    if home := environ.get("LLMSPELL_HOME"):
        return os.path.join(os.path.abspath(home), "state")
    base = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):  # the XDG specification wants a relative path ignored
        base = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(base, "llmspell-supervisor")


def owner(config: StateConfig, ctx: CallContext) -> str:
    """Whose state a call sees. A value in a column, never a part of a path."""
    if config.scope == "tenant":
        return f"tenant:{config.tenant}"
    # A file name may hold bytes that are not UTF-8, which Python writes as lone surrogates.
    return "spell:" + ctx.identity.encode(errors="backslashreplace").decode()


def check_name(name: str, field: str) -> str:
    """`name`, if it is one line of at most `MAX_NAME` characters. Raises `BridgeError`."""
    if not 0 < len(name) <= MAX_NAME:
        raise BridgeError("Validation", f"{field}: 1 to {MAX_NAME} characters", field=field)
    if any(unicodedata.category(c).startswith(("C", "Zl", "Zp")) for c in name):
        message = f"{field}: no control characters and no line breaks"
        raise BridgeError("Validation", message, field=field)
    return name
