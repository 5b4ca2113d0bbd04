"""Control groups: found in what the kernel says of us, made, limited and removed."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_supervisor import Policy, Spell, Supervisor
from llmspell_supervisor import _cgroups as cgroups
from llmspell_supervisor._cgroups import Cgroups, Hierarchy, WorkerGroup
from llmspell_supervisor._pool import NO_POOL
from tests.support.faults import Fault, kernel_calls

MIB = 1024 * 1024


def tree(base: Path, *files: str) -> None:
    base.mkdir(parents=True, exist_ok=True)
    for name in files:
        (base / name).touch()


# --- finding, in text of the kernel's form --------------------------------------------------------


def test_version_2_is_found_at_our_own_group(tmp_path: Path) -> None:
    own = tmp_path / "user.slice/run.scope"
    tree(own)
    (own / "cgroup.controllers").write_text("cpu memory pids\n")
    mounts = f"31 24 0:27 / {tmp_path} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    [found] = cgroups._usable(mounts, "0::/user.slice/run.scope\n")
    assert found == Hierarchy(2, frozenset({"cpu", "memory", "pids"}), str(own))


@pytest.mark.parametrize("controllers", ["", "cpu io\n"])
def test_a_tree_of_version_2_that_limits_nothing_is_left_alone(
    tmp_path: Path, controllers: str
) -> None:
    (tmp_path / "cgroup.controllers").write_text(controllers)
    mounts = f"31 24 0:27 / {tmp_path} rw - cgroup2 cgroup2 rw\n"
    assert cgroups._usable(mounts, "0::/\n") == []


def test_version_1_is_found_by_controller_and_others_are_left_alone(tmp_path: Path) -> None:
    memory, cpu = tmp_path / "memory", tmp_path / "cpu"
    tree(memory / "box/inner")
    tree(cpu / "box")
    mounts = (
        f"33 24 0:29 /box {memory}/box rw - cgroup cgroup rw,memory\n"
        f"34 24 0:30 / {cpu} rw - cgroup cgroup rw,cpu,cpuacct\n"
    )
    [found] = cgroups._usable(mounts, "5:memory:/box/inner\n4:cpu,cpuacct:/box\n")
    assert found == Hierarchy(1, frozenset({"memory"}), str(memory / "box/inner"))


def test_what_may_not_be_written_is_not_ours(tmp_path: Path) -> None:
    mounts = f"31 24 0:27 / {tmp_path}/gone rw - cgroup2 cgroup2 rw\n"
    assert cgroups._usable(mounts, "0::/\n") == []


# --- limits and events, on files of the kernel's form ---------------------------------------------


def test_version_2_limits_memory_swap_and_tasks(tmp_path: Path) -> None:
    names = ("memory.max", "memory.swap.max", "memory.oom.group", "pids.max")
    tree(tmp_path, *names)
    cgroups._limit(Hierarchy(2, frozenset(), ""), str(tmp_path), 64 * MIB)
    assert [(tmp_path / n).read_text() for n in names] == [str(64 * MIB), "0", "1", "32"]


@pytest.mark.parametrize(
    ("version", "name", "quiet", "killed"),
    [
        (2, "memory.events", "oom 3\noom_kill 0\n", "oom 3\noom_kill 1\n"),
        (
            1,
            "memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        ),
    ],
)
def test_a_kill_for_want_of_memory_is_seen(
    tmp_path: Path, version: int, name: str, quiet: str, killed: str
) -> None:
    group = WorkerGroup([(Hierarchy(version, frozenset({"memory"}), ""), str(tmp_path))])
    assert not group.out_of_memory()
    (tmp_path / name).write_text(quiet)
    assert not group.out_of_memory()
    (tmp_path / name).write_text(killed)
    assert group.out_of_memory()


@pytest.mark.parametrize(("code", "is_refused"), [(errno.EPERM, False), (errno.ENOMEM, True)])
def test_a_group_whose_limit_cannot_be_set_is_not_used(
    tmp_path: Path, code: int, is_refused: bool
) -> None:
    own = Cgroups()
    own.close()
    own._own = [(Hierarchy(2, frozenset({"memory"}), str(tmp_path)), str(tmp_path))]
    with kernel_calls("llmspell_supervisor", Fault("_cgroups._write open", code)) as calls:
        if is_refused:
            with pytest.raises(OSError, match="allocate"):
                own.create(1, 64 * MIB)
        else:
            assert own.create(1, 64 * MIB)._paths == []
    assert calls.hit
    assert list(tmp_path.iterdir()) == []


def test_only_version_2_can_kill(tmp_path: Path) -> None:
    tree(tmp_path, "cgroup.kill")
    WorkerGroup([(Hierarchy(1, frozenset(), ""), str(tmp_path))]).kill()
    assert (tmp_path / "cgroup.kill").read_text() == ""
    WorkerGroup([(Hierarchy(2, frozenset(), ""), str(tmp_path))]).kill()
    assert (tmp_path / "cgroup.kill").read_text() == "1"


def test_groups_of_dead_supervisors_are_removed_and_those_of_others_stay(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    dead, alive, foreign = f"llmspell-{process.pid}-0", f"llmspell-{os.getpid()}-7", "other-1-0"
    for name in (dead, alive, foreign):
        tree(tmp_path / name / "1")
    cgroups._remove_stale(str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([alive, foreign])


def test_a_supervisor_waits_until_its_groups_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False, True])

    async def scenario() -> None:
        async with Supervisor() as supervisor:
            close = supervisor._cgroups.close
            monkeypatch.setattr(supervisor._cgroups, "close", lambda: close() and next(answers))

    asyncio.run(scenario())
    assert list(answers) == []


# --- where this host delegates some ---------------------------------------------------------------


def groups_in(path: str) -> list[Path]:
    return [p for p in Path(path).iterdir() if p.is_dir()]


def existing(paths: list[str]) -> list[str]:
    return [path for path in paths if os.path.exists(path)]


def test_a_worker_is_in_its_group_while_it_lives_and_the_group_goes_with_it() -> None:
    probe = Cgroups()
    delegated = bool(probe.state)
    probe.close()
    if not delegated:
        pytest.skip("no control group is delegated to us here")

    async def scenario() -> None:
        seen: list[list[str]] = []

        def look(_: object) -> None:
            for _, own in supervisor._cgroups._own:
                seen.extend((g / "cgroup.procs").read_text().split() for g in groups_in(own))
            supervisor.cancel_all()

        supervisor = Supervisor(on_log=look, pool=NO_POOL)
        async with supervisor:
            spell = Spell.from_text("console.log('up') util.sleep(60000)", "lua")
            report = await supervisor.run(spell, policy=Policy(memory=64 * MIB))
            own = [path for _, path in supervisor._cgroups._own]
            assert own
            assert not any(groups_in(path) for path in own)
        assert report.layers["cgroup"].startswith("on: joined")
        assert seen
        assert all(len(pids) == 1 for pids in seen)
        assert existing(own) == []

    asyncio.run(scenario())
