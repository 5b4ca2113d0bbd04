"""The zygote of the attack suite: a real one, whose workers also obey the suite.

What differs from `llmspell_workers.zygote`: layers can be left out by name, and a spell whose source
is the name of an attack is that attack. Everything else is the code that is under test.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from llmspell_workers.containment import Layers
from llmspell_workers.engines import load_engine
from llmspell_workers.zygote import run_zygote

from . import native, peers
from ._attack import NATIVE, PEERS
from ._wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from llmspell_protocol import Start
    from llmspell_workers._session import Session
    from llmspell_workers.containment import SyscallPolicy
    from llmspell_workers.engines import EngineOptions, ScriptEngine

    from ._attack import Native, Peer


REFUSED: Final = "!"
"""Before the name of a layer that is refused, as a host without it would."""


def main(engine: str, isolation: str, skip: str, early: str = "") -> NoReturn:
    """Serve an engine, without the layers named in `skip`; never returns.

    A name with `!` before it is a layer that this host refuses. `early` is a peer that acts in place
    of every worker's self-test.
    """
    names = frozenset(filter(None, skip.split(",")))
    refused = frozenset(name.removeprefix(REFUSED) for name in names if name[0] == REFUSED)
    layers = _Layers(refused, strict=isolation != "degraded", skip=names)
    run_zygote(engine, lambda: AttackEngine(load_engine(engine), early), layers)


class _Layers(Layers):
    """Those of a host that refuses some of them."""

    def __init__(self, refused: frozenset[str], *, strict: bool, skip: frozenset[str]) -> None:
        super().__init__(strict=strict, skip=skip)
        self._refused = refused

    def attempt(
        self, name: str, step: Callable[[], str], remedy: str = "", *, optional: bool = False
    ) -> bool:
        """As ever, or as if the kernel had said no."""
        return super().attempt(
            name, _no if name in self._refused else step, remedy, optional=optional
        )


def _no() -> NoReturn:
    raise OSError(errno.EPERM, "refused by a test")


class AttackEngine:
    """A script engine that is started as ever, and then is what an attacker has made of it."""

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    address_space: ClassVar[int | None]

    def __init__(self, inner: ScriptEngine, early: str) -> None:
        self._inner = inner
        self._early = early
        self.__class__.name = inner.name
        self.__class__.suffixes = inner.suffixes
        self.__class__.address_space = inner.address_space

    @property
    def version(self) -> str:
        """That of the engine."""
        return self._inner.version

    def preload(self) -> None:
        """The engine's files, and every attack."""
        self._inner.preload()
        native.load()
        peers.load()

    def syscalls(self, *, jit: bool) -> SyscallPolicy:
        """Those of the engine: an attacker has no more."""
        return self._inner.syscalls(jit=jit)

    def start(self, options: EngineOptions) -> None:
        """As the engine does."""
        self._inner.start(options)

    def self_test(self) -> None:
        """The engine's own, or a peer that acts before Ready."""
        if not self._early:
            self._inner.self_test()
            return
        PEERS[self._early].run(Wire(None))

    def validate(self, start: Start) -> None:
        """As the engine does."""
        self._inner.validate(start)

    def execute(self, start: Start, session: Session) -> bytes:
        """The attack that the source names, or the script that it is."""
        if attack := NATIVE.get(start.source):
            return _attempt(attack, start)
        if hostile := PEERS.get(start.source):
            return _misbehave(hostile, start)
        return self._inner.execute(start, session)


def _attempt(attack: Native, start: Start) -> bytes:
    """What came of it, as the value of the spell: `gained`, `refused` or `broken`, and words."""
    try:
        outcome = ("gained", attack.run(msgspec.msgpack.decode(start.params)))
    except OSError as error:
        outcome = ("refused", f"{error.errno}")
    except MemoryError:
        outcome = ("refused", "memory")
    except Exception as error:  # noqa: BLE001 - a mistake in the attack must not pass for a wall
        outcome = ("broken", f"{type(error).__name__}: {error}")
    return msgspec.msgpack.encode(outcome)


def _misbehave(hostile: Peer, start: Start) -> bytes:
    hostile.run(Wire(start))
    return msgspec.msgpack.encode(None)
