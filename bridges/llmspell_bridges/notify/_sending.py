"""One message through apprise, which knows the services and tells nobody the address."""

from __future__ import annotations

import logging
import warnings
from typing import Any, Final

from .._domains import is_loopback
from .._errors import BridgeError, one_line
from .._threads import Job
from ..llm import Secret
from ._types import Message

PLAIN: Final = "insecure"
"""How apprise's e-mail calls a connection without TLS."""


def warm_up() -> None:
    """Load apprise's services, which takes a second; keep its logger quiet, which names hosts."""
    import apprise

    logger = logging.getLogger("apprise")
    if logger.disabled:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what the services import, not of ours
        apprise.Apprise.instantiate("json://localhost")
    logger.disabled = True
    # At debug level it tells paths, and the key of many a webhook is its path.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def send(job: Job, name: str, url: Secret, message: Message, *, require_tls: bool) -> None:
    """Send it, once. Raises `BridgeError` that names the target and never its address."""
    import apprise

    # A redirect could lead a message, and the credentials of the address, to anybody.
    asset = apprise.AppriseAsset(storage_mode="memory", allow_templates=False)
    asset.http_redirects = False
    service = apprise.Apprise.instantiate(url.reveal(), asset=asset)
    if service is None:
        message_ = f"{name}: its variable does not hold an address that apprise knows"
        raise BridgeError("Configuration", message_)
    if require_tls and _is_plain(service, url.reveal()):
        raise BridgeError("Policy", f"{name}: is reached without TLS, and require_tls is on")
    job.check()  # what is sent cannot be called back
    sent = service.notify(
        body=message.body,
        title=one_line(message.title),
        notify_type=apprise.NotifyType(message.level),
        body_format=apprise.NotifyFormat.TEXT,
    )
    if not sent:
        said = f"{name}: the message was not taken; the service is away or refuses us"
        raise BridgeError("Provider", said, retryable=True)


def _is_plain(service: Any, url: str) -> bool:
    """Whether messages go to another machine in the clear."""
    known = service.protocol or ()
    protocols = (known,) if isinstance(known, str) else tuple(known)
    scheme = url.partition("://")[0].lower()
    if scheme not in protocols or getattr(service, "secure_mode", PLAIN) != PLAIN:
        return False
    host = getattr(service, "smtp_host", None) or getattr(service, "host", None) or ""
    return bool(host) and not is_loopback(host)
