"""`init`: write a config file in which every setting stands, explained and commented out.

The text is made from the schemas that read it, so it cannot name a key that is not one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import types
import typing
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

import msgspec

from llmspell_bridges import available, load

from .._config import user_config_path
from .._errors import ConfigError
from .._fields import show_value
from .._policy import FIELDS, GRANTS, LIMITS, META
from .._text import escape_line
from .._units import write_units
from ._arguments import PROGRAM
from ._console import Console

_HEAD: Final = """\
# Settings of llmspell-supervisor. Every line that is commented out shows the default, or an
# example where there is none. Sizes: "256M", "1.5G". Times: "5s", "300ms", "2m".
# Keys of models never stand here: only names of the environment variables that hold them.
"""
_POLICY: Final = """\
# What every spell on this machine may use at most. Flags and profiles stay within what is set
# here; what is not set here keeps its default, and a flag may raise it.
"""
_PROFILE: Final = """\
# A profile is chosen with --profile NAME and takes the same keys; it stays within [policy].
# [profiles.careful]
# timeout = "20s"
# max_cost = 0.1
"""
_AUDIT: Final = """\
# The audit log of every run on this machine: a record of each call, chained by hashes. What cannot
# be recorded is not done. llmspell-supervisor audit verify FILE checks it.
# [audit]
# path = "/var/log/llmspell/audit.jsonl"
# max_size = "1G"
"""
_EXAMPLES: Final = {
    "allow_env": ["REPORT_TITLE"],
    "allow_domain": ["api.example.com"],
    "allow_read": ["/srv/data"],
    "allow_write": ["/srv/out"],
    "libraries": ["/srv/spells/lib"],
    "default_model": "openai/gpt-4o-mini",
    "embed_model": "openai/text-embedding-3-small",
    "aliases": {"fast": "openai/gpt-4o-mini"},
    "extra_options": ["seed"],
    "api_key_env": "MY_PROVIDER_KEY",
    "base_url": "http://127.0.0.1:8000/v1",
    "path": "/srv/models/mine.gguf",
    "allow_names": ["conftest.py"],
    "allow_private": ["127.0.0.1:8080"],
    "ca_file": "/etc/ssl/company.pem",
    "conversations": "/srv/conversations",
    "deny": ["http_request"],
    "search_key_env": "MY_SEARCH_KEY",
    "search_provider": "searxng",
    "search_url": "http://127.0.0.1:8080",
    "value_env": "MY_API_TOKEN",
    "host": "api.example.com",
    "cwd": "/srv/data",
    "headers": {"x-team": "spells"},
    "directory": "/srv/llmspell",
    "qdrant": "https://qdrant.example.com:6333",
    "url_env": "MY_ADDRESS",
    "webhook_token_env": "MY_WEBHOOK_TOKEN",
    "storage.stores.NAME.url": "s3://bucket/prefix",
    "options": {"region": "eu-central-1"},
    "options_env": {"secret_access_key": "AWS_SECRET"},
    "mcp.servers.name.command": [
        "npx",
        "-y",
        "@modelcontextprotocol/server-filesystem",
        "/srv/data",
    ],
    "mcp.servers.name.url": "https://mcp.example.com/mcp",
    "sql.databases.NAME.url": "sqlite:////srv/shop.db",
}
"""For settings that have no default, or one that shows nothing of their form; by name, or by table
and name."""

_OTHER_WAY: Final = frozenset(
    {
        *(f"mcp.servers.name.{name}" for name in ("url", "headers", "api_key_env")),
        "sql.databases.NAME.url_env",
    }
)
"""Settings that stand in place of others, not beside them."""


def init(arguments: SimpleNamespace) -> int:
    """Run the command `init`. Raises `ConfigError` if the file is there and `--force` is not."""
    path = arguments.path or user_config_path()
    shown = escape_line(path)
    try:
        write_file(path, template(), force=arguments.force)
    except FileExistsError:
        raise ConfigError(f"{shown} is there already", "--force overwrites it") from None
    except OSError as error:
        raise ConfigError(f"{shown} cannot be written: {error.strerror}") from None
    console = Console()
    console.out(f"wrote {shown}")
    if os.path.abspath(path) != os.path.abspath(user_config_path()):
        console.out(f"use it with {PROGRAM} run --config {shown} SPELL")
    return 0


def template() -> str:
    """The whole file."""
    parts = [_HEAD, _POLICY + "[policy]\n" + "".join(_policy_lines()), _PROFILE, _AUDIT]
    tables = (_table(name, type(load(name)).config, first=True) for name in available())
    parts += ["\n".join(table) + "\n" for table in tables]
    return "\n".join(parts)


def write_file(path: str, text: str, *, force: bool) -> None:
    """All of it or nothing, and never through a link or over a file that is not to go.

    Raises `OSError`.
    """
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.path.isdir(path):
        raise IsADirectoryError(21, "it is a directory")
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".config-")
    try:
        with open(handle, "w") as file:
            file.write(text)
        if force:
            os.replace(temporary, path)
        else:
            os.link(temporary, path)  # unlike rename, it fails when the name is taken
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _policy_lines() -> Iterator[str]:
    for name, field in FIELDS.items():
        value = field.default
        if name in LIMITS:
            unit = LIMITS[name]
            value = write_units(value, unit) if unit in ("bytes", "seconds") else value
            bound = f"; at most {show_value(name, META[name].le)}"
        else:
            value = _EXAMPLES.get(name) or (list(value) if name in GRANTS else value)
            bound = "; default: none" if name in _EXAMPLES else ""
        yield f"# {META[name].description}{bound}\n# {name} = {toml(value)}\n"


def _table(path: str, schema: type[msgspec.Struct], *, first: bool = False) -> Iterator[str]:
    """A table of a bridge's settings: its own keys, then the tables inside it."""
    if not first:
        yield ""
    live = first  # `[llm]` itself may stand with nothing in it; what is below is an example
    yield f"[{path}]" if live else f"# [{path}]"
    inner: list[tuple[str, type[msgspec.Struct]]] = []
    hints = typing.get_type_hints(schema, include_extras=True)
    for field in msgspec.structs.fields(schema):
        hint = hints[field.name]
        key = f"{path}.{field.encode_name}"
        if struct := _struct_of(hint):
            inner.append((f"{key}.{_name_in(hint)}" if _is_map(hint) else key, struct))
            continue
        yield f"# {_description(hint)}"
        way = "or " if f"{path}.{field.encode_name}" in _OTHER_WAY else ""
        yield f"# {way}{field.encode_name} = {_example(path, field, hint)}"
    for key, struct in inner:
        yield from _table(key, struct)


def _plain(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _is_map(hint: Any) -> bool:
    return typing.get_origin(_plain(hint)) is dict


def _struct_of(hint: Any) -> type[msgspec.Struct] | None:
    """The struct that `hint` is, may be, or maps names to."""
    plain = _plain(hint)
    arms = (typing.get_args(plain)[1],) if _is_map(plain) else (plain,)
    if typing.get_origin(plain) in (typing.Union, types.UnionType):
        arms = typing.get_args(plain)
    found = (arm for arm in arms if isinstance(arm, type) and issubclass(arm, msgspec.Struct))
    return next(found, None)


def _name_in(hint: Any) -> str:
    """What stands for a name in a map; small where capitals would not be taken."""
    names = typing.get_args(_plain(hint))[0]
    return "name" if any(meta.pattern for meta in _metas(names)) else "NAME"


def _metas(hint: Any) -> Iterator[msgspec.Meta]:
    """The constraints of a type, and of each type that it may be."""
    yield from getattr(hint, "__metadata__", ())
    plain = _plain(hint)
    if typing.get_origin(plain) in (typing.Union, types.UnionType):
        for arm in typing.get_args(plain):
            yield from _metas(arm)


def _description(hint: Any) -> str:
    return next((m.description for m in _metas(hint) if m.description), "")


def _example(path: str, field: msgspec.structs.FieldInfo, hint: Any) -> str:
    for name in (f"{path}.{field.encode_name}", field.encode_name):
        if name in _EXAMPLES:
            return toml(_EXAMPLES[name])
    if field.default not in (msgspec.NODEFAULT, None):
        value = field.default
        return toml(list(value) if isinstance(value, tuple) else value)
    least = next((m.ge for m in _metas(hint) if m.ge is not None), None)
    return toml("..." if least is None else least)


def toml(value: Any) -> str:
    """A text, number, boolean or list as TOML writes it, which is as JSON does; a map inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    return msgspec.json.encode(value).decode()
