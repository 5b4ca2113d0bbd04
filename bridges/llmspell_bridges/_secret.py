"""Keys that do not show: a key must not reach a worker, a log or an error."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

T = TypeVar("T")

MASK: Final = "***"

_SHORTEST: Final = 8
"""Characters: masking shorter values would eat ordinary words, and no real key is so short."""

_SECRET_NAME: Final = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)


class Secret:
    """A key. Its text is given out by `reveal` alone; nothing else shows or copies it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself. For the argument of the client that sends it, and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


def hidden(key: Secret | None, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What no script may see, the longest first.

    The key, headers that the operator set, and values of the environment that are named like keys.
    """
    values = {value for name, value in os.environ.items() if _SECRET_NAME.search(name)}
    values |= set(headers.values())
    if key is not None:
        values.add(key.reveal())
    return tuple(sorted((v for v in values if len(v) >= _SHORTEST), key=len, reverse=True))


def redact(text: str, values: tuple[str, ...]) -> str:
    """`text` with a mask for each of `values`."""
    for value in values:
        text = text.replace(value, MASK)
    return text


def masked(found: T, values: tuple[str, ...]) -> T:
    """The same answer of a provider, which may echo what it was sent, without `values`."""
    if isinstance(found, str):
        return cast("T", redact(found, values))
    if isinstance(found, dict):
        return cast("T", {masked(k, values): masked(v, values) for k, v in found.items()})
    if isinstance(found, list):
        # Embeddings are long, and hold no text.
        numbers = bool(found) and isinstance(found[0], float)
        return found if numbers else cast("T", [masked(item, values) for item in found])
    if isinstance(found, Struct):
        names = found.__struct_fields__
        return cast(
            "T", replace(found, **{name: masked(getattr(found, name), values) for name in names})
        )
    return found


class StreamMask:
    """Masks a text that comes in pieces: a value may be cut between two of them."""

    def __init__(self, values: tuple[str, ...]) -> None:
        self._values = values
        self._tail = ""  # what may be the beginning of a value

    def feed(self, text: str, *, last: bool = False) -> str:
        """What of the text so far may be shown; with `last`, all that is left."""
        text = redact(self._tail + text, self._values)
        held = 0 if last else max((_begun(text, value) for value in self._values), default=0)
        shown, self._tail = text[: len(text) - held], text[len(text) - held :]
        return shown


def _begun(text: str, value: str) -> int:
    """Characters at the end of `text` that are the beginning of `value`."""
    longest = min(len(value) - 1, len(text))
    return next((n for n in range(longest, 0, -1) if text.endswith(value[:n])), 0)
