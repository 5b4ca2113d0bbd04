"""Keys that do not show: a key must not reach a worker, a log or an error."""

from __future__ import annotations

import os
import re
from typing import Final

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


def redact(text: str, key: Secret | None) -> str:
    """`text` without `key` and without any value of the environment that is named like a key."""
    values = {v for n, v in os.environ.items() if _SECRET_NAME.search(n)}
    if key is not None:
        values.add(key.reveal())
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, MASK)
    return text
