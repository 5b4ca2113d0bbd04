"""Errors of the wire, named after who broke the contract.

Exception
+-- ProtocolError            the two ends do not agree on what may be said
    +-- LocalProtocolError   this side tried something that the order table forbids (our bug)
    |   +-- SessionOver      ... because the worker has sent its last message (nobody's bug)
    +-- RemoteProtocolError  the other side did (a hostile or broken peer: kill it;
    |                        the connection is dead)
+-- ValueRejected            a value that may not cross; the connection is still usable
+-- ArgumentError            arguments that do not fit a method's signature; likewise usable
"""

from __future__ import annotations


class ProtocolError(Exception):
    """The two ends of a connection do not agree on what may be said next."""


class LocalProtocolError(ProtocolError):
    """This side tried to send a message that is not legal now.

    Nothing was sent and nothing has changed; the connection is usable where it was before.
    """


class SessionOver(LocalProtocolError):
    """This side had something to send, but the worker has already sent its last message.

    Not a bug: answers and the end of the script cross in the pipes. Drop the message.
    """


class RemoteProtocolError(ProtocolError):
    """The other side sent bytes that are not a legal message now. Kill the peer.

    The connection is dead: nothing more may be sent or read.
    """


class ValueRejected(Exception):
    """A value broke the rules of `ScriptValue`. The connection stays usable.

    `reason` says which rule, `path` where in the value (`$.a[3]`), or `$` for the whole.
    """

    def __init__(self, reason: str, path: str = "$") -> None:
        super().__init__(reason if path == "$" else f"{reason} at {path}")
        self.reason = reason
        self.path = path


class ArgumentError(Exception):
    """Arguments do not fit the signature of a method. The connection stays usable.

    `field` names the parameter or option (`messages[0].role`), `message` what was wrong with it.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.message = message
        self.field = field
