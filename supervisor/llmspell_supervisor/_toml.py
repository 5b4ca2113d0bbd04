"""TOML files that people or strangers wrote, read with bounds, with the line of each key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from ._errors import ConfigError, SupervisorError
from ._files import decode_text, read_regular
from ._text import escape_line, nearest, truncate


class Document(Struct, frozen=True):
    """A parsed file. `path` is as it was given, for messages."""

    path: str
    text: str
    data: dict[str, Any]

    @classmethod
    def load(cls, path: str, cap: int) -> Document:
        """Read and parse at most `cap` bytes. Raises `ConfigError` with the line."""
        shown = escape_line(path)
        text = decode_text(read_regular(path, cap, ConfigError), shown, ConfigError)
        try:
            return cls(shown, text, tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            message, line = _split(str(error))
            raise ConfigError(message, "not valid TOML", file=shown, line=line) from None
        except (RecursionError, ValueError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            raise ConfigError(reason, "not valid TOML", file=shown) from None

    def error(self, key: str, message: str) -> ConfigError:
        """An error about the dotted `key`, with its line where the text shows it plainly."""
        return ConfigError(message, file=self.path, line=self.line_of(key), key=key)

    def fail_in(self, table: str) -> Callable[[str, str], SupervisorError]:
        """Makes errors about keys of `table`."""
        return lambda key, message: self.error(f"{table}.{key}" if table else key, message)

    def table(self, key: str) -> dict[str, Any]:
        """The top-level table `key`, empty if there is none."""
        found = self.data.get(key, {})
        if not isinstance(found, dict):
            raise self.error(key, f"is not a table: write [{key}]")
        return found

    def only(self, *known: str) -> None:
        """Refuse any top-level key but these."""
        for key in self.data:
            if key not in known:
                shown = escape_line(truncate(key, 60))
                raise self.error(shown, f"unknown key{nearest(shown, known)}")

    def line_of(self, key: str) -> int | None:
        """The line on which dotted `key` is set, if it is written as `[table]` and `key =`."""
        table, _, name = key.rpartition(".")
        assignment = re.compile(rf"""\s*["']?{re.escape(name)}["']?\s*=""")
        header = re.compile(rf"\s*\[+\s*{re.escape(key)}\s*\]+")
        current = ""
        for number, line in enumerate(self.text.split("\n"), 1):
            if header.match(line) or (current == table and assignment.match(line)):
                return number
            if found := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
                current = found[1].replace('"', "").replace("'", "")
        return None


def _split(text: str) -> tuple[str, int | None]:
    """tomllib's `Invalid value (at line 3, column 5)` as a message and a line."""
    found = re.search(r"\s*\(at line (\d+), column \d+\)$", text)
    message = escape_line(text[: found.start()] if found else text)
    return message[:1].lower() + message[1:], int(found[1]) if found else None
