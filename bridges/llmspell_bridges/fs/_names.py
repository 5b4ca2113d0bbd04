"""Which names a path may hold, and which no spell may write because programs act on them."""

from __future__ import annotations

import os
import sys
import unicodedata
from functools import cache
from typing import Final

from .._errors import BridgeError

MAX_PATH: Final = 4096
"""Bytes: PATH_MAX of the kernel (limits.h)."""
MAX_NAME: Final = 255
"""Bytes: NAME_MAX of every common file system."""
TEMPORARY: Final = ".llmspell-"
"""How files begin that are being written. No spell sees them, and none may name them."""

_RUN_BY_THEMSELVES: Final = frozenset(
    {
        # Python, at every start or at pytest's.
        "sitecustomize.py", "usercustomize.py", "conftest.py", "pyvenv.cfg",
        # Version control: hooks, and settings that name programs.
        ".git", ".gitconfig", ".gitmodules", ".hg", ".hgrc", ".svn", ".jj",
        # Environments and shells that are loaded on entering a folder or on login.
        ".envrc", ".profile", ".login", ".logout", ".inputrc",
        ".bashrc", ".bash_profile", ".bash_login", ".bash_logout", ".bash_aliases",
        ".zshrc", ".zshenv", ".zprofile", ".zlogin", ".zlogout", ".kshrc", ".cshrc", ".tcshrc",
        # Settings of programs that name programs, or of who may log in.
        ".vscode", ".idea", ".devcontainer", ".mcp.json", ".vimrc", ".exrc", ".nvimrc",
        ".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc", ".netrc", ".ssh", ".gnupg", ".pdbrc",
        ".pre-commit-config.yaml", "authorized_keys",
        # Our own: what a config there grants.
        "llmspell-supervisor",
    }
)  # fmt: skip
"""Read by an interpreter, a shell, an editor or version control that is started in a folder, enters
it or opens it, without anybody naming the file."""
_LOADED: Final = (".pth", ".pyc", ".pyd", ".so", ".dylib", ".dll")
"""Suffixes of what interpreters and linkers load as code; no spell writes these by hand."""
_ENVIRONMENT: Final = ".env"
"""Itself and `.env.NAME`: many programs load them from the folder that they are started in."""
_PACKAGE: Final = ("__init__.py", "__main__.py")


def parts_of(path: str) -> tuple[str, ...]:
    """The names of a path, without empty ones and `.`. Raises `BridgeError` of `Validation`."""
    if not path:
        raise _invalid("is empty")
    if len(path) > MAX_PATH or len(path.encode(errors="replace")) > MAX_PATH:
        raise _invalid(f"is longer than {MAX_PATH} bytes")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in path):
        raise _invalid("holds a control character")
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    for part in parts:
        if part == "..":
            raise _invalid("holds '..': write the path without it")
        if len(part.encode()) > MAX_NAME:
            raise _invalid(f"holds a name longer than {MAX_NAME} bytes")
        if part.startswith(TEMPORARY):
            raise _invalid(f"holds a name that begins with {TEMPORARY}: these are reserved")
    return parts


def refuse_code(folder: str, parts: tuple[str, ...], allowed: tuple[str, ...]) -> None:
    """Refuse to write what a program of this host would run. Raises `BridgeError` of `Policy`.

    `folder` is the granted directory, and `parts` lead from there to the file.
    """
    for part in parts:
        plain = _plain(part)
        if plain in _RUN_BY_THEMSELVES or _is_loaded(plain) or _is_environment(plain):
            _refuse(part, allowed, "programs load or run it by themselves")
    name = _plain(parts[-1]) if parts else ""
    if not name.endswith(".py"):
        return
    module = _plain(parts[-2]) if name in _PACKAGE and len(parts) > 1 else name.removesuffix(".py")
    if module in sys.stdlib_module_names:
        _refuse(parts[-1], allowed, f"Python would take it for its own module '{module}'")
    path = os.path.join(folder, *parts)
    if any(path.startswith(f"{each}{os.sep}") for each in _import_path()):
        _refuse(parts[-1], allowed, "this supervisor imports modules from there")


def _refuse(name: str, allowed: tuple[str, ...], why: str) -> None:
    if name in allowed:
        return
    message = (
        f"path: '{name}' is not written by spells, because {why}; "
        "an operator who wants it adds the name to allow_names under [fs] in the config file"
    )
    raise BridgeError("Policy", message, field="path")


def _plain(name: str) -> str:
    """As a file system may see it that tells neither case nor Unicode's variants apart."""
    # Some drop what is not shown, or dots and spaces at the end.
    shown = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", shown).casefold().rstrip(". ")


def _is_loaded(name: str) -> bool:
    return name.endswith(_LOADED) or ".so." in name  # a version may follow


def _is_environment(name: str) -> bool:
    return name == _ENVIRONMENT or name.startswith(f"{_ENVIRONMENT}.")


@cache
def _import_path() -> frozenset[str]:
    """Directories in which a module would become code of this process."""
    return frozenset(os.path.realpath(each) for each in sys.path)


def _invalid(what: str) -> BridgeError:
    return BridgeError("Validation", f"path: it {what}", field="path")
