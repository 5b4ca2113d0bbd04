"""What no recording may hold: secrets, wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

MIN_SECRET: Final = 4
"""Characters of a secret that is looked for: shorter ones are words like any."""

_CONFIDENTIAL: Final = re.compile(
    r"(?i)^(.*api[_-]?key|.*secret.*|.*password|.*passwd|(proxy-)?authorization|.*credentials?"
    r"|(set-)?cookie|(.*[_-])?(access|refresh|auth|bearer|api|session)[_-]?token|token|.*private[_-]?key)$"
)
"""Names of what is secret: of parameters, of fields, of variables."""


def is_confidential(name: str) -> bool:
    """Whether what is named so is nobody's business."""
    return _CONFIDENTIAL.match(name) is not None


class Redactor:
    """Puts `[redacted NAME]` where a secret is. The same on both sides of a comparison."""

    def __init__(
        self, env: Mapping[str, str], params: Mapping[str, Any], environ: Mapping[str, str]
    ) -> None:
        """Secrets are every granted variable, parameters named so, and such of `environ`."""
        named = {n: v for n, v in params.items() if is_confidential(n) and isinstance(v, str)}
        ours = {n: v for n, v in environ.items() if is_confidential(n)}
        secrets = {**ours, **named, **env}
        known = {value: f"[redacted {name}]" for name, value in secrets.items()}
        found = sorted((v for v in known if len(v) >= MIN_SECRET), key=len, reverse=True)
        self._known = known
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None

    def text(self, text: str) -> str:
        """`text` without secrets."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda match: self._known[match[0]], text)

    def value(self, value: Any) -> Any:
        """A `ScriptValue`, or anything made of such, without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self._octets(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {key: self._field(key, item) for key, item in value.items()}
        return value

    def _field(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and value and is_confidential(name):
            return f"[redacted {name}]"
        return self.value(value)

    def _octets(self, data: bytes) -> bytes:
        try:
            return self.text(data.decode()).encode()
        except UnicodeDecodeError:
            return data
