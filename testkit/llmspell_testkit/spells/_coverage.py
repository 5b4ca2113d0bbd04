"""Which lines of the spells under test were run. Spells in Lua only: see `_lua`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

from msgspec import structs

from llmspell_bridges import Bridge, BridgeConfig, CallContext, method
from llmspell_supervisor import Spell

from ._lua import NotLua, Statement, statements

NAME: Final = "spell_coverage"

_HEAD: Final = (
    "local __lines = {} local __told <close> = setmetatable({}, {__close = function() local seen = {} "
    "for line in next, __lines do seen[#seen + 1] = line end spell_coverage.lines(seen) end}) "
)
"""Before the first statement, on its line. Closed when the spell ends, also when it fails."""


class CoverageBridge(Bridge):
    """Hears which lines a spell has run. For tests only."""

    name: ClassVar[str] = NAME

    def __init__(self, config: BridgeConfig, hit: set[int] | None = None) -> None:
        """Lines are added to `hit`; without it, it only declares what there is."""
        super().__init__(config)
        self._hit = set() if hit is None else hit

    @method
    async def lines(self, ctx: CallContext, lines: list[int]) -> None:  # noqa: ARG002
        """Say which lines have been run."""
        self._hit.update(lines)


class Coverage:
    """What all tests of a command have covered."""

    def __init__(self) -> None:
        self._lines: dict[str, set[int]] = {}
        self._hits: dict[str, set[int]] = {}
        self._unknown: dict[str, str] = {}

    def marked(self, spell: Spell, shown: str) -> tuple[Spell, CoverageBridge] | None:
        """The spell with its marks and what hears of them; none for a spell that has none."""
        if spell.engine != "lua":
            self._unknown[shown] = f"{spell.engine}: not measured"
            return None
        try:
            found = statements(spell.source)
        except (NotLua, RecursionError):
            self._unknown[shown] = "does not parse"
            return None
        lines = self._lines.setdefault(shown, set())
        lines |= {statement.line for statement in found}
        hit = self._hits.setdefault(shown, set())
        marked = structs.replace(spell, source=_mark(spell.source, found))
        return marked, CoverageBridge(BridgeConfig(), hit)

    def rows(self) -> Iterator[str]:
        """A line for each spell: how many of its lines were run, and which were not."""
        width = max(map(len, (*self._lines, *self._unknown)), default=0)
        for shown, lines in sorted(self._lines.items()):
            hit = self._hits[shown] & lines
            share = f"{100 * len(hit) // max(len(lines), 1):3} %"
            missed = ", ".join(_ranges(sorted(lines - hit)))
            tail = f"  not run: {missed}" if missed else ""
            yield f"{shown:<{width}}  {len(hit):4} of {len(lines):<4} {share}{tail}"
        for shown, reason in sorted(self._unknown.items()):
            yield f"{shown:<{width}}  {reason}"


def _mark(source: str, found: list[Statement]) -> str:
    pieces, at = [], 0
    for i, statement in enumerate(found):
        pieces.append(source[at : statement.offset])
        pieces.append(("" if i else _HEAD) + f"__lines[{statement.line}] = 1; ")
        at = statement.offset
    return "".join(pieces) + source[at:]


def _ranges(lines: list[int]) -> Iterator[str]:
    """`3-5, 9`."""
    begin = 0
    for i, line in enumerate(lines):
        if i + 1 == len(lines) or lines[i + 1] != line + 1:
            first = lines[begin]
            yield str(first) if first == line else f"{first}-{line}"
            begin = i + 1
