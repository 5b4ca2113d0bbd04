"""What an attack is: one try at something that an id of the catalogue names.

Native attacks and peers are functions that run inside a locked worker, in place of its engine; the
zygote imports their modules, and the harness reads the same declarations on the host's side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._stage import Stage
    from ._wire import Wire

Targets = dict[str, Any]
"""Where the canaries are: see `_canaries.Canaries.targets`. Plain values, sent as parameters."""

BOTH: Final = ("lua", "javascript")


class Native(Struct, frozen=True, kw_only=True):
    """Native code in a locked worker."""

    id: str
    name: str
    title: str
    run: Callable[[Targets], str]
    """Returns what it has gained, in words or as the stolen bytes. A refusal is an `OSError`."""
    walls: tuple[str, ...]
    """The layers that stop it, the first one first. Each alone does, which `prove` shows; with none
    of them it succeeds, which shows that the attack is real."""
    engines: tuple[str, ...] = BOTH
    policy: dict[str, Any] = field(default_factory=dict)
    """Fields of `Policy` that the run needs, such as a small limit."""
    uncontrolled: str = ""
    """Why it is not tried without its walls: it would harm the machine. Empty: it is."""
    needs_root: bool = False
    """An unprotected process of an ordinary user could not do it either."""
    neighbour: bool = False
    """Another spell runs beside it, from the same zygote, with a canary in its memory."""
    ends_by: str = ""
    """The limit, of `holds`, that ends it where none of its walls is: its last wall."""
    holds: tuple[str, ...] = ()
    """Walls that no layer can be: `cpu`, `wall`, `memory`: the limit that ends it."""

    @property
    def key(self) -> str:
        """How results and messages call it, such as `O12 tcp`."""
        return f"{self.id} {self.name}"


class Peer(Struct, frozen=True, kw_only=True):
    """A worker that speaks the protocol as it likes."""

    id: str
    name: str
    title: str
    run: Callable[[Wire], None]
    verdicts: tuple[str, ...]
    """How the run may end: what is right, named by the supervisor."""
    early: bool = False
    """It acts in place of the engine's self-test: before Ready, and before any byte of a spell."""
    policy: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """How results and messages call it, such as `P01 prefix`."""
        return f"{self.id} {self.name}"


class Succeeded(Exception):
    """A host attack got through; the message says what it gained."""


class Host(Struct, frozen=True, kw_only=True):
    """An attack that shows on the host's side: it arranges runs, and looks at what they did."""

    id: str
    name: str
    title: str
    run: Callable[[Stage], Awaitable[str]]
    """Returns how it was stopped, with the figures where there are any; raises `Succeeded`."""
    engines: tuple[str, ...] = ("",)
    """Engines that it is repeated for (`stage.engine`); one empty name where there is no matter."""

    @property
    def key(self) -> str:
        """How results and messages call it, such as `O04 daemonised tree`."""
        return f"{self.id} {self.name}"


NATIVE: Final[dict[str, Native]] = {}
PEERS: Final[dict[str, Peer]] = {}
HOSTS: Final[dict[str, Host]] = {}


def native(
    attack_id: str, title: str, *, walls: tuple[str, ...], **more: Any
) -> Callable[[Callable[[Targets], str]], Callable[[Targets], str]]:
    """Declare the function below as a native attack; its name is the function's."""

    def declare(run: Callable[[Targets], str]) -> Callable[[Targets], str]:
        attack = Native(id=attack_id, name=_name(run), title=title, run=run, walls=walls, **more)
        _add(NATIVE, attack.key, attack)
        return run

    return declare


def peer(
    attack_id: str, title: str, *, verdicts: tuple[str, ...] = ("protocol_violation",), **more: Any
) -> Callable[[Callable[[Wire], None]], Callable[[Wire], None]]:
    """Declare the function below as a hostile peer; its name is the function's."""

    def declare(run: Callable[[Wire], None]) -> Callable[[Wire], None]:
        attack = Peer(
            id=attack_id, name=_name(run), title=title, run=run, verdicts=verdicts, **more
        )
        _add(PEERS, attack.key, attack)
        return run

    return declare


def host(
    attack_id: str, title: str, **more: Any
) -> Callable[[Callable[[Stage], Awaitable[str]]], Callable[[Stage], Awaitable[str]]]:
    """Declare the coroutine function below as an attack on the host; its name is the function's."""

    def declare(run: Callable[[Stage], Awaitable[str]]) -> Callable[[Stage], Awaitable[str]]:
        attack = Host(id=attack_id, name=_name(run), title=title, run=run, **more)
        _add(HOSTS, attack.key, attack)
        return run

    return declare


def _name(run: Callable[..., object]) -> str:
    return run.__name__.replace("_", " ").strip()


def _add(table: dict[str, Any], key: str, attack: Any) -> None:
    if key in table:
        raise ValueError(f"two attacks are called {key!r}")
    table[key] = attack
