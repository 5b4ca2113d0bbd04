"""The operator's config file: policy, profiles and models, in TOML.

Looked for in this order, and only the first is read: `--config FILE`, `$LLMSPELL_CONFIG`, then
`${XDG_CONFIG_HOME:-~/.config}/llmspell-supervisor/config.toml`. Never in the current folder or
beside a spell: whoever hands out a folder of spells could plant one there and grant themselves
what they like. A spell's own wishes go into its manifest, which grants nothing.

    [policy]              ceilings and grants for every run on this machine
    [profiles.NAME]       the same keys, chosen with --profile NAME; within [policy]
    [audit]               path and max_size of the audit log of every run
    [NAME]                settings of the bridge NAME, such as [llm]
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from ._errors import ConfigError
from ._fields import check_fields
from ._policy import MAX_AUDIT, MIB
from ._resolve import Layer
from ._text import escape_line, nearest
from ._units import parse_size

if TYPE_CHECKING:
    from ._toml import Document

CONFIG_VARIABLE: Final = "LLMSPELL_CONFIG"
_OURS: Final = ("policy", "profiles", "audit")
MAX_CONFIG: Final = MIB
"""Far above any config; bounds what a wrong path can make us parse."""


class AuditSettings(Struct, frozen=True, kw_only=True):
    """The section `[audit]`."""

    path: str
    """Absolute."""
    max_size: int = MAX_AUDIT
    """Bytes. Runs are refused when the log would grow over it."""


class Config(Struct, frozen=True, kw_only=True):
    """What a config file says, checked. The default says nothing."""

    path: str | None = None
    """The file, absolute; `None` when there was none."""
    policy: Mapping[str, Any] = {}
    profiles: Mapping[str, Mapping[str, Any]] = {}
    audit: AuditSettings | None = None
    bridges: Mapping[str, Mapping[str, Any]] = {}
    """Settings by bridge, as `llmspell_bridges.load` takes them."""

    @classmethod
    def load(cls, path: str) -> Config:
        """Read `path`. Raises `ConfigError` that names file, line and key."""
        from ._toml import Document  # only a run with a config pays for TOML

        document = Document.load(path, MAX_CONFIG)
        absolute = os.path.abspath(path)
        profiles = document.table("profiles")
        return cls(
            path=absolute,
            policy=_fields(document, "policy", document.table("policy"), absolute),
            profiles={name: _profile(document, name, profiles, absolute) for name in profiles},
            audit=_audit(document, absolute),
            bridges=_bridges(document),
        )

    def layers(self, profile: str | None = None) -> list[Layer]:
        """The operator's layers of this file. An unknown profile raises `ConfigError`."""
        found = [Layer(f"[policy] of {self._shown}", self.policy)] if self.policy else []
        if profile is not None:
            if profile not in self.profiles:
                raise self._no_profile(profile)
            name = f"profile '{profile}' of {self._shown}"
            found.append(Layer(name, self.profiles[profile]))
        return found

    @property
    def _shown(self) -> str:
        return escape_line(self.path or "the config")

    def _no_profile(self, profile: str) -> ConfigError:
        known = tuple(self.profiles)
        there = f"there are: {', '.join(known)}" if known else f"{self._shown} has no [profiles]"
        if self.path is None:
            there = "there is no config file; llmspell-supervisor init writes one"
        shown = escape_line(profile)
        return ConfigError(f"no profile '{shown}'{nearest(shown, known)}", there)


def user_config_path(environ: Mapping[str, str] = os.environ) -> str:
    """Where the user's own config is, whether or not it exists."""
    home = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(home):  # the XDG specification says to ignore a relative one
        home = os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(home, "llmspell-supervisor", "config.toml")


def find_config(flag: str | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """The config that applies (see the module), or an empty one. Raises `ConfigError`."""
    # An empty flag is no wish for no config: `--config "$UNSET"` must not lift a ceiling.
    if flag is not None:
        return Config.load(flag)
    if named := environ.get(CONFIG_VARIABLE):
        return Config.load(named)
    path = user_config_path(environ)
    return Config.load(path) if os.path.lexists(path) else Config()


def _fields(
    document: Document, table: str, raw: Mapping[str, Any], absolute: str
) -> dict[str, Any]:
    return check_fields(raw, base=os.path.dirname(absolute), fail=document.fail_in(table))


def _profile(
    document: Document, name: str, profiles: Mapping[str, Any], absolute: str
) -> dict[str, Any]:
    key = f"profiles.{escape_line(name)}"
    if not isinstance(profiles[name], dict):
        raise document.error(key, f"is not a table: write [{key}]")
    return _fields(document, key, profiles[name], absolute)


def _audit(document: Document, absolute: str) -> AuditSettings | None:
    if "audit" not in document.data:
        return None
    table, fail = document.table("audit"), document.fail_in("audit")
    known = AuditSettings.__struct_fields__
    for key in table:
        if key not in known:
            raise fail(escape_line(key), f"unknown key{nearest(escape_line(key), known)}")
    path, size = table.get("path"), table.get("max_size", MAX_AUDIT)
    if not isinstance(path, str) or not path or path.startswith("~") or "$" in path:
        raise fail("path", "the path of a file is due; '~' and '$' are not expanded")
    try:
        size = parse_size(size) if isinstance(size, str) else size
    except ValueError as error:
        raise fail("max_size", str(error)) from None
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        raise fail("max_size", "a size is due, such as 256M")
    path = os.path.abspath(os.path.join(os.path.dirname(absolute), path))
    return AuditSettings(path=path, max_size=size)


def _bridges(document: Document) -> dict[str, dict[str, Any]]:
    """Every other table has the name of a bridge, and that bridge accepts it."""
    names = [name for name in document.data if name not in _OURS]
    if not names:
        return {}
    from llmspell_bridges import available  # only a config with such a table pays for it

    document.only(*_OURS, *available())
    return {name: _bridge(document, name) for name in names}


def _bridge(document: Document, name: str) -> dict[str, Any]:
    from llmspell_bridges import BridgeError, load

    settings = document.table(name)
    try:
        load(name, settings)
    except BridgeError as error:
        key, reason = error.field or name, error.message
        if unknown := re.search(r"unknown field `([^`]*)`", reason):
            key = f"{key}.{unknown[1]}"
            reason = f"unknown key{nearest(unknown[1], _known_keys(type(load(name)).config))}"
        reason = reason.removeprefix(f"[{key}] ")
        raise document.error(key, reason[:1].lower() + reason[1:]) from None
    return settings


def _known_keys(schema: type[Struct]) -> tuple[str, ...]:
    """Every key of a bridge's settings and of the tables inside them."""
    found: dict[str, None] = {}
    for described in msgspec.json.schema(schema).get("$defs", {}).values():
        found.update(dict.fromkeys(described.get("properties", ())))
    return tuple(found)
