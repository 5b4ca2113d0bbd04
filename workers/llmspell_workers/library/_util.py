"""`util`: small things that every spell needs."""

from __future__ import annotations

import binascii
import importlib
import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from llmspell_protocol import ErrorInfo

from ._errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SLEEP: Final = 24 * 60 * 60 * 1000
"""Milliseconds of one sleep, a day: beyond it a unit was mixed up."""

# CPython's own hashes: hashlib would load OpenSSL, which costs each zygote some milliseconds and
# megabytes. Imported now because a worker has no file system to import from.
_MODULES: Final = {
    "md5": "_md5",
    "sha1": "_sha1",
    "sha256": "_sha2" if sys.version_info >= (3, 12) else "_sha256",
    "sha512": "_sha2" if sys.version_info >= (3, 12) else "_sha512",
}
_HASHES: Final[dict[str, Callable[[bytes], Any]]] = {
    name: getattr(importlib.import_module(module), name) for name, module in _MODULES.items()
}


def sleep(milliseconds: Annotated[float, msgspec.Meta(ge=0, le=MAX_SLEEP)]) -> None:
    """Wait that many milliseconds. The run's own deadline goes on."""
    time.sleep(milliseconds / 1000)


def uuid() -> str:
    """A random UUID (version 4)."""
    data = bytearray(os.urandom(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def base64_encode(data: Any) -> str:
    """Text (as UTF-8) or bytes in base64, on one line."""
    return binascii.b2a_base64(_octets(data), newline=False).decode()


def base64_decode(text: str) -> str | bytes:
    """What base64 text stands for: text when it is valid UTF-8, bytes otherwise."""
    try:
        data = binascii.a2b_base64(text.encode(), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        message = f"not valid base64: {str(error).lower()}"
        raise HostError(ErrorInfo("Validation", message, field="text")) from None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def hash(  # noqa: A001 - the name that scripts know
    data: Any, algorithm: Literal["sha256", "sha512", "sha1", "md5"] = "sha256"
) -> str:
    """The digest of text (as UTF-8) or bytes, in lower-case hexadecimal."""
    digest: str = _HASHES[algorithm](_octets(data)).hexdigest()
    return digest


def time_() -> float:
    """Seconds since 1970 (UTC), to the millisecond."""
    return int(time.time() * 1000) / 1000


time_.__name__ = "time"  # as scripts call it; the module of that name is needed above


def _octets(data: object) -> bytes:
    # By hand: msgspec decodes no union of text and bytes.
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes):
        return data
    raise HostError(ErrorInfo("Validation", "data: expected string or bytes", field="data"))


FUNCTIONS: Final = (base64_decode, base64_encode, hash, sleep, time_, uuid)
