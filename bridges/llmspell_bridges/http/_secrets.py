"""Secrets by name: put in on this side, for one server only, and taken out of what comes back."""

from __future__ import annotations

import base64
import html
import json
import os
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

from msgspec import Struct

from .._errors import BridgeError
from .._secret import Secret
from ._config import HttpConfig, SecretConfig
from ._url import PORTS, Target

_SHORTEST: Final = 8
"""Characters: to mask a shorter value would mask ordinary words with it."""
_HIDDEN_SLASH: Final = re.compile(r"%2f|%5c", re.IGNORECASE)
"""Which some servers take for a slash, so that a path is not what it looks like."""


class Handle(Struct, frozen=True):
    """A secret that a request carries."""

    name: str
    config: SecretConfig
    secret: Secret

    def covers(self, target: Target) -> bool:
        """Whether it is meant for `target`: scheme, host, port and the beginning of the path."""
        config = self.config
        port = config.port or PORTS[config.scheme]
        path = target.path.partition("?")[0]
        above = config.prefix.rstrip("/")
        return (
            target.origin == (config.scheme, config.host, port)
            and (path == above or path.startswith(f"{above}/"))
            and not _HIDDEN_SLASH.search(path)
        )

    def header(self) -> tuple[str, str]:
        """What carries it."""
        value = self.secret.reveal()
        encoded = base64.b64encode(value.encode()).decode()
        text = self.config.format.replace("{base64}", encoded).replace("{}", value)
        return self.config.header.lower(), text


class Vault:
    """The secrets that the operator has set."""

    def __init__(self, config: HttpConfig) -> None:
        self._secrets = config.secrets

    def take(self, name: str, target: Target) -> Handle:
        """The secret `name` for a request to `target`. Raises `BridgeError`."""
        config = self._secrets.get(name)
        if config is None:
            there = ", ".join(sorted(self._secrets)) or "none"
            message = f"auth: there is no secret '{name[:60]}' (there are: {there})"
            raise BridgeError("Validation", message, field="auth")
        value = os.environ.get(config.value_env)
        if not value:
            message = f"auth: {config.value_env} is not set: export it for the secret '{name}'"
            raise BridgeError("Configuration", message, field="auth")
        if len(value) < _SHORTEST or not value.isprintable() or not value.isascii():
            message = (
                f"auth: the secret '{name}' must be {_SHORTEST} characters of ASCII or more, "
                "or it could not be hidden in answers"
            )
            raise BridgeError("Configuration", message, field="auth")
        handle = Handle(name, config, Secret(value))
        if not handle.covers(target):
            message = (
                f"auth: the secret '{name}' is for {config.scheme}://{config.host}"
                f"{config.prefix} only, and is not sent elsewhere"
            )
            raise BridgeError("Policy", message, field="auth")
        return handle

    def hidden(self) -> tuple[str, ...]:
        """Every form in which an answer may show one of the secrets, the longest first.

        As latin-1, in which bytes and characters are the same.
        """
        forms: set[str] = set()
        for config in self._secrets.values():
            value = os.environ.get(config.value_env, "")
            if len(value) >= _SHORTEST:
                forms.update(_forms(value))
        return tuple(sorted(forms, key=len, reverse=True))


def _forms(value: str) -> Iterable[str]:
    yield value
    yield value.lower()  # as the host of an address
    for encoded in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)
    yield json.dumps(value)[1:-1]
    yield html.escape(value)
    data = value.encode()
    yield base64.b64encode(data).decode()
    yield base64.urlsafe_b64encode(data).decode()
    yield data.hex()
    yield data.hex().upper()
    # In the middle of a longer text it is encoded in three ways, whose ends depend on what is
    # around: what is the same everywhere is left.
    for before in range(3):
        padded = b"\0" * before + data
        body = padded[: len(padded) // 3 * 3]
        inner = base64.b64encode(body).decode()[-(-before * 4 // 3) :]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")
