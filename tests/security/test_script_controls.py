"""The attacks by scripts are real: without our engines they succeed, without limits bombs go on."""

from __future__ import annotations

import asyncio
import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from llmspell_harness._canaries import Canaries
from llmspell_harness._scripts import Script, scripts
from llmspell_harness._stage import Stage
from llmspell_supervisor import RunReport

MIB: Final = 1 << 20
CONTENT: Final = "canary of a control"
PROGRAMS: Final = Path(__file__).with_name("unprotected")

REACHING: Final = {
    "lua": [
        "L01 python table",
        "L02 none to every class",
        "L03 getattr helper",
        "L04 host function innards",
        "L05 host function finaliser",
        "L06 lupa helpers",
        "L07 bytecode",
        "L08 modules",
        "L09 os",
        "L10 io",
        "L11 debug",
        "L12 string metatable",
        "L28 clocks",
    ],
    "javascript": [
        "J01 python global",
        "J02 constructor chains",
        "J04 network",
        "J05 webassembly",
        "J22 finalisation",
        "J24 stack traces",
    ],
}
"""Scripts that gain something in an engine that is used as its manual says."""

READING: Final = {
    "lua": ["L01 python table", "L08 modules", "L10 io"],
    "javascript": ["J01 python global"],
}
"""Those of them that come back with the content of a file."""

SPINNING: Final = {
    "lua": ["L16 pattern", "L17 optional items", "L17 balanced", "L18 loop", "L18 rep of nothing"],
    "javascript": ["J09 backtracking", "J09 many expressions", "J10 await", "J10 native loops"],
}
FILLING: Final = {
    "lua": ["L14 tables retried"],
    "javascript": ["J06 buffers kept"],
}

ENGINES = pytest.mark.parametrize("engine", ["lua", "javascript"])


def named(engine: str, key: str) -> Script:
    return next(s for s in scripts() if (s.engine, s.key) == (engine, key))


@pytest.fixture(scope="module")
def unprotected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The gains of every reaching script of an engine; each engine is started once."""
    folder = tmp_path_factory.mktemp("targets")
    secret = folder / "secret.txt"
    secret.write_text(CONTENT)
    targets = {"file": str(secret), "folder": str(folder), "variable": "PATH", "http_port": 1}

    @functools.cache
    def gains(engine: str) -> dict[str, list[str]]:
        if engine == "javascript" and sys.version_info >= (3, 13):
            pytest.skip("PythonMonkey's own package finds no event loop on CPython 3.13")
        sources = {key: named(engine, key).source for key in REACHING[engine]}
        done = subprocess.run(
            [sys.executable, PROGRAMS / f"{engine}.py"],
            input=json.dumps({"sources": sources, "targets": targets}),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return msgspec.json.decode(done.stdout, type=dict[str, list[str]])

    return gains


@pytest.mark.parametrize(
    ("engine", "key"), [(engine, key) for engine, keys in REACHING.items() for key in keys]
)
def test_a_script_that_reaches_for_the_host_gets_there_without_our_engine(
    engine: str, key: str, unprotected: Any
) -> None:
    assert unprotected(engine)[key]


@pytest.mark.parametrize(
    ("engine", "key"), [(engine, key) for engine, keys in READING.items() for key in keys]
)
def test_a_script_that_reads_a_file_of_the_host_reads_it_without_our_engine(
    engine: str, key: str, unprotected: Any
) -> None:
    assert CONTENT in " ".join(unprotected(engine)[key])


def cast(engine: str, bombs: list[tuple[str, dict[str, Any]]]) -> list[RunReport]:
    """Let them go one by one, each with other limits than its own."""

    async def all_of_them() -> list[RunReport]:
        async with Canaries() as canaries, Stage(canaries) as stage:
            return [
                await stage.run(named(engine, key).source, engine, policy=policy)
                for key, policy in bombs
            ]

    return asyncio.run(all_of_them())


@ENGINES
def test_a_bomb_of_time_goes_on_for_as_long_as_it_may(engine: str) -> None:
    limits = (0.1, 0.4)
    keys = SPINNING[engine]
    reports = cast(engine, [(key, {"cpu": limit}) for key in keys for limit in limits])
    for report, (key, limit) in zip(
        reports, [(key, limit) for key in keys for limit in limits], strict=True
    ):
        assert report.verdict == "cpu_limit", (key, report.problem)
        assert report.usage.cpu >= limit, key


@ENGINES
def test_a_bomb_of_memory_takes_as_much_as_it_may(engine: str) -> None:
    keys = FILLING[engine]
    bombs = [(key, {"memory": size * MIB}) for key in keys for size in (64, 96)]
    reports = cast(engine, bombs)
    assert [r.verdict for r in reports] == ["memory_limit"] * len(bombs)
    for small, large in zip(reports[::2], reports[1::2], strict=True):
        assert large.usage.peak_memory > small.usage.peak_memory + 16 * MIB
