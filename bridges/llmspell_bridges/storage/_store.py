"""One configured store, opened through obstore."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from .._domains import is_loopback
from .._errors import BridgeError
from ._config import ObjectStoreConfig

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from .._context import PolicyView

MAX_PATH: Final = 1024
"""Bytes of a path: what S3 takes."""

RETRIES: Final = 2
"""Repetitions of a request that failed on the way or on the service's side: obstore's own ten go on
for minutes."""


def check_path(path: str, field: str = "path") -> str:
    """`path`, if it is plain: names between slashes, none of them `.` or `..`. `BridgeError`."""
    names = path.split("/")
    if not path or len(path.encode(errors="replace")) > MAX_PATH:
        message = f"{field}: 1 to {MAX_PATH} bytes"
    elif any(name in ("", ".", "..") for name in names):
        message = f"{field}: names between single slashes, without '.' and '..'"
    elif any(unicodedata.category(c) in ("Cc", "Cs") or c == "\\" for c in path):
        message = f"{field}: no control characters and no backslashes"
    else:
        return path
    raise BridgeError("Validation", message, field=field)


def open_store(name: str, config: ObjectStoreConfig, policy: PolicyView) -> ObjectStore:
    """Open a store; nothing is asked of the service yet. Raises `BridgeError`."""
    from obstore import exceptions, store

    options: dict[str, Any] = {**config.options, **_secrets(name, config)}
    plain = [value for value in config.options.values() if value.startswith("http://")]
    for address in plain:
        if policy.require_tls and not is_loopback(urlsplit(address).hostname or ""):
            message = f"{name}: is reached by plain http, and require_tls is on"
            raise BridgeError("Policy", message)
    if not config.url.startswith(("file:", "memory:")):
        options["client_options"] = {"allow_http": bool(plain)}
        options["retry_config"] = {
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=policy.request_timeout),
        }
    try:
        return store.from_url(config.url, **options)
    except (exceptions.BaseError, ValueError, TypeError, OSError):
        message = f"{name}: its url and options do not describe a store; see the config"
        raise BridgeError("Configuration", message) from None


def _secrets(name: str, config: ObjectStoreConfig) -> dict[str, str]:
    found = {}
    for option, variable in config.options_env.items():
        value = os.environ.get(variable)
        if not value:
            raise BridgeError("Configuration", f"{name}: {variable} is not set: export it")
        found[option] = value
    return found


async def bounded(name: str, chunks: AsyncIterator[Any], most: int) -> bytes:
    """All of an object, whatever its service said of its size. Raises `BridgeError`."""
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > most:
            raise BridgeError(
                "Limit", f"{name}: the object is larger than {most} bytes (max_object)"
            )
    return bytes(data)


@contextlib.contextmanager
def explained(name: str, path: str = "") -> Iterator[None]:
    """Turn obstore's errors, which tell addresses and much else, into the documented kinds."""
    from obstore import exceptions

    try:
        yield
    except FileNotFoundError:
        raise BridgeError("Validation", f"{name}: there is no {path}", field="path") from None
    except exceptions.AlreadyExistsError:
        raise BridgeError(
            "Validation", f"{name}: there is a {path} already", field="path"
        ) from None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, PermissionError):
        message = f"{name}: the service refuses us; see its options in the config"
        raise BridgeError("Configuration", message) from None
    except (exceptions.InvalidPathError, ValueError):
        raise BridgeError("Validation", f"{name}: not a path here", field="path") from None
    except exceptions.NotSupportedError:
        raise BridgeError("Validation", f"{name}: the service cannot do that") from None
    except (exceptions.BaseError, OSError):
        message = f"{name}: the service is away or failed"
        raise BridgeError("Network", message, retryable=True) from None
