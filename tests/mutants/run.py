"""Test the mutants that `make` wrote, and say which survive.

Each is tested in a fork of this process, which has imported all that is slow; the mutated module is
handed to the fork's importer and never written. A mutant is killed when a test fails, when nothing
can be imported, or when the tests take too long. Whatever its processes leave behind is killed.
"""

from __future__ import annotations

import asyncio  # noqa: F401
import contextlib
import ctypes
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, Literal, NamedTuple

import hypothesis  # noqa: F401 - it and what follows is for the forks
import msgspec  # noqa: F401
import pytest
import pytest_timeout  # noqa: F401

from tests.mutants.modules import ENOUGH, GROUPS, PLACES, SEED, Module
from tests.support.processes import children

LISTED: Final = Path(__file__).parents[1] / "security/MUTANTS.md"
OPTIONS: Final = (
    *("-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"),
    "--timeout=0",  # the time of all of them together is limited, and by what the real module takes
    *("--disable-plugin-autoload", "-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # of hypothesis, which is here already
)
SLOWER: Final = 10.0
"""How many times longer than on the real module the tests may take: machines are shared."""
PATIENCE: Final = 10.0
"""Seconds that they may take in any case."""
_PR_SET_CHILD_SUBREAPER: Final = 36

Fate = Literal["survived", "killed", "too long"]
_FATES: Final[tuple[Fate, ...]] = ("survived", "killed", "too long")


class Mutant(NamedTuple):
    """One line of what `make` writes; see there."""

    group: str
    module: str
    operator: str
    line: int
    before: str
    after: str
    source: str

    @property
    def row(self) -> str:
        """As `MUTANTS.md` lists it, without the reason."""
        cells = (_code(text) for text in (self.before, self.after))
        return f"| {self.module} | {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


class _Mutated(importlib.abc.MetaPathFinder):
    """Finds one module, whose source is another one."""

    def __init__(self, module: Module, source: str) -> None:
        self._module = module
        self._source = source

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._module.name:
            return None
        file = os.path.abspath(self._module.path)
        return importlib.util.spec_from_file_location(
            name, file, loader=_Source(name, file, self._source)
        )


class _Source(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._code = compile(source, path, "exec", dont_inherit=True)

    def get_code(self, fullname: str) -> CodeType:
        return self._code


def _test(module: Module, source: str | None) -> int:
    """Run the tests of a module on a source of it, or on its own. pytest's exit code."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(quiet, fd)
    if source is not None:
        sys.meta_path.insert(0, _Mutated(module, source))
    return int(pytest.main([*OPTIONS, *module.tests]))


def _keep(module: Module, source: str | None, seconds: float) -> int:
    """Test in a fork, for so long at most, and end all that it started. An index of `_FATES`."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    pid = os.fork()
    if pid == 0:
        _leave(lambda: _test(module, source))
    over = select.select([os.pidfd_open(pid)], [], [], seconds)[0]
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if over else None
    while left := children(os.getpid()):
        for process in left:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)
    return 2 if code is None else int(code != 0)


def _leave(body: Any) -> None:
    """Exit with what `body` returns, whatever it raises."""
    code = 70
    try:
        code = body()
    finally:
        os._exit(code)


class Runner:
    """Tests several mutants at a time."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._running: dict[int, tuple[Mutant, float]] = {}
        self._seconds: dict[tuple[str, ...], float] = {}
        self.fates: list[tuple[Mutant, Fate]] = []

    def run(self, mutants: Sequence[Mutant]) -> None:
        """Test them all; `fates` is what became of them."""
        modules = {m.name: m for group in GROUPS.values() for m in group}
        for mutant in mutants:
            module = modules[mutant.module]
            seconds = self._patience(module)
            while len(self._running) >= self._at_once:
                self._wait()
            pid = os.fork()
            if pid == 0:
                _leave(lambda: _keep(module, mutant.source, seconds))  # noqa: B023 - called at once
            self._running[pid] = mutant, time.monotonic()
        while self._running:
            self._wait()

    def _patience(self, module: Module) -> float:
        """How long the tests of a module may take. Exits if they fail as it is."""
        if module.tests not in self._seconds:
            while self._running:
                self._wait()
            began = time.monotonic()
            pid = os.fork()
            if pid == 0:
                _leave(lambda: _keep(module, None, 600.0))
            if os.waitpid(pid, 0)[1]:
                raise SystemExit(f"the tests of {module.name} fail as it is: {module.tests}")
            self._seconds[module.tests] = PATIENCE + SLOWER * (time.monotonic() - began)
        return self._seconds[module.tests]

    def _wait(self) -> None:
        pid, status = os.wait()
        mutant, began = self._running.pop(pid)
        fate = _FATES[os.waitstatus_to_exitcode(status)]
        self.fates.append((mutant, fate))
        took = time.monotonic() - began
        _say(f"{len(self.fates)} {fate} {took:.1f} s {mutant.module}:{mutant.line} {mutant.after}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def report(fates: Sequence[tuple[Mutant, Fate]]) -> bool:
    """Print what came of them; whether enough were killed and every survivor is accounted for."""
    listed = LISTED.read_text() if LISTED.exists() else ""
    lines = [f"Seed {SEED}, at most {PLACES} places a module.", ""]
    lines += ["| module | mutants | killed | of them by time | survived |", "|---|---|---|---|---|"]
    good = True
    for group in GROUPS:
        of_group = [(m, fate) for m, fate in fates if m.group == group]
        for name in dict.fromkeys(m.module for m, _ in of_group):
            lines.append(_figures(name, [fate for m, fate in of_group if m.module == name]))
        if of_group:
            lines.append(_figures(f"**{group}**", [fate for _, fate in of_group]))
            killed = sum(fate != "survived" for _, fate in of_group)
            good = good and killed >= ENOUGH * len(of_group)
    survivors = [m for m, fate in fates if fate == "survived"]
    lines += ["", *(m.row + ("" if m.row in listed else " **not listed** |") for m in survivors)]
    sys.stdout.write("\n".join(lines) + "\n")
    return good and all(m.row in listed for m in survivors)


def _figures(name: str, fates: Sequence[Fate]) -> str:
    count = Counter(fates)
    killed = len(fates) - count["survived"]
    share = f"{killed} ({killed / len(fates):.0%})"
    return f"| {name} | {len(fates)} | {share} | {count['too long']} | {count['survived']} |"


def main() -> None:
    """Read mutants from standard input; an argument says how many to test at a time."""
    mutants = [Mutant(**json.loads(line)) for line in sys.stdin]
    runner = Runner(int(sys.argv[1]) if sys.argv[1:] else os.cpu_count() or 1)
    runner.run(mutants)
    sys.exit(not report(runner.fates))


if __name__ == "__main__":
    main()
