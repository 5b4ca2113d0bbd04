"""A worker as the host's own /proc shows it, for root's supervisor and for an ordinary user's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llmspell_harness._losses import losses
from tests.support.processes import children

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.users import OrdinaryUser

PROGRAM = """
import asyncio, sys
from llmspell_supervisor import PoolSize, Spell, Supervisor
async def main():
    alone = PoolSize(0, 0)  # no worker beside it that is still being locked
    on_log = lambda entry: print(entry.text, flush=True)
    async with Supervisor(pool=alone, on_log=on_log) as supervisor:
        await supervisor.run(Spell.from_text(sys.argv[2], sys.argv[1]))
asyncio.run(main())
"""
WAITS = {
    "lua": "console.log('up') util.sleep(60000)",
    "javascript": "console.log('up'); await util.sleep(60000)",
}
NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")


@pytest.fixture(params=["root", "ordinary user"])
def command_prefix(request: pytest.FixtureRequest) -> list[str]:
    """What runs a Python program as the user in question."""
    if request.param == "root":
        if Path("/proc/self").stat().st_uid != 0:
            pytest.skip("the suite is not run by root")
        return [sys.executable]
    user: OrdinaryUser = request.getfixturevalue("ordinary_user")
    return user.command([sys.executable])


@pytest.fixture(params=["lua", "javascript"])
def worker(request: pytest.FixtureRequest, command_prefix: list[str]) -> Iterator[int]:
    """The pid, as the host counts, of a worker in the middle of a spell."""
    command = [*command_prefix, "-c", PROGRAM, request.param, WAITS[request.param]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == "up\n"
        yield _last_of_chain(supervisor.pid)
        supervisor.kill()


def _last_of_chain(pid: int) -> int:
    """Supervisor, outer process, zygote, worker: the deepest descendant."""
    while below := children(pid):
        pid = below[-1]
    return pid


def test_a_worker_has_no_privilege_and_its_filter_is_on(worker: int) -> None:
    lines = Path(f"/proc/{worker}/status").read_text().splitlines()
    status = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    assert status["Seccomp"] == "2"
    assert status["NoNewPrivs"] == "1"
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0, capabilities
    assert "0" not in status["Uid"].split()


@pytest.mark.root
def test_a_worker_is_in_namespaces_of_its_own(worker: int) -> None:
    for name in NAMESPACES:
        own = Path(f"/proc/{worker}/ns/{name}").readlink()
        assert own != Path(f"/proc/self/ns/{name}").readlink(), name


@pytest.mark.root
def test_a_worker_has_exactly_its_two_pipe_ends(worker: int) -> None:
    fds = {fd.name: str(fd.readlink()) for fd in Path(f"/proc/{worker}/fd").iterdir()}
    assert len(fds) == 2, fds
    assert all(target.startswith("pipe:") for target in fds.values())
    modes = [
        int(Path(f"/proc/{worker}/fdinfo/{fd}").read_text().split("flags:")[1].split()[0], 8) & 3
        for fd in sorted(fds)
    ]
    assert modes == [0, 1]  # one to read, one to write


@pytest.mark.root
def test_a_worker_sees_an_empty_root(worker: int) -> None:
    assert list(Path(f"/proc/{worker}/root").iterdir()) == []


def test_doctor_lists_every_layer(command_prefix: list[str]) -> None:
    command = [*command_prefix, "-m", "llmspell_supervisor", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    layers = {layer["name"]: layer for layer in json.loads(done.stdout)}
    for name in ("user_namespace", "pid_namespace", "net_namespace", "root", "landlock", "seccomp"):
        assert layers[name]["state"] == "on", layers[name]
    assert all(layer["remedy"] for layer in layers.values() if layer["state"] == "off")
    for engine in ("engine lua", "engine javascript"):
        assert layers[engine]["state"] == "on", layers[engine]


# --- a host that lacks a layer --------------------------------------------------------------------

WITHOUT_NAMESPACES = {
    "root of a container": "unshare -Ur sh -c 'echo 0 > {switch} && exec \"$@\"' -",
    "an ordinary user": (
        "unshare -Uc --keep-caps sh -c 'echo 0 > {switch} &&"
        ' exec setpriv --ambient-caps=-all --inh-caps=-all "$@"\' -'
    ),
}
"""How to lack user namespaces for real: one more is allowed, and in it, no further one."""

BOTH = """
import asyncio, json
from llmspell_supervisor import IsolationError, Policy, Spell, Supervisor
async def main():
    found = []
    async with Supervisor() as supervisor:
        for engine in ("lua", "javascript"):
            spell = Spell.from_text("return 6 * 7", engine)
            try:
                await supervisor.run(spell)
            except IsolationError as error:
                report = await supervisor.run(spell, policy=Policy(isolation="degraded"))
                found.append([error.layer, error.hint, report.value, report.layers])
    print(json.dumps(found))
asyncio.run(main())
"""


@pytest.mark.parametrize("user", WITHOUT_NAMESPACES)
def test_a_host_without_user_namespaces_is_refused_or_named(
    user: str, ordinary_user: OrdinaryUser
) -> None:
    command = WITHOUT_NAMESPACES[user].format(switch="/proc/sys/user/max_user_namespaces")
    script = f'{command} "$@"'
    done = ordinary_user.run(["sh", "-c", script, "-", sys.executable, "-c", BOTH])
    if "unshare" in done.stderr:
        pytest.skip(f"no user namespace to begin with: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 2, "strict did not refuse"
    for layer, remedy, value, layers in found:
        expected = {
            "root of a container": ("uid", "run as an ordinary user"),
            "an ordinary user": ("user_namespace", "max_user_namespaces above 0"),
        }[user]
        assert layer == expected[0]
        assert expected[1] in remedy
        assert value == 42
        for missing in ("user_namespace", "pid_namespace", "net_namespace", "root"):
            assert layers[missing].startswith("off: "), missing
        for present in ("landlock", "seccomp", "rlimits", "fds"):
            assert layers[present].startswith("on: "), present


def test_doctor_names_the_attacks_that_meet_a_wall_less_on_such_a_host(
    ordinary_user: OrdinaryUser,
) -> None:
    switch = WITHOUT_NAMESPACES["an ordinary user"].format(
        switch="/proc/sys/user/max_user_namespaces"
    )
    doctor = [sys.executable, "-m", "llmspell_supervisor", "doctor"]
    done = ordinary_user.run(["sh", "-c", f'{switch} "$@"', "-", *doctor])
    if "unshare" in done.stderr:
        pytest.skip(f"no user namespace to begin with: {done.stderr.strip()}")
    assert done.returncode == 1, done.stdout
    lines = done.stdout.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("root "))
    assert " off " in lines[at]
    lost = ", ".join(losses(["root"])["root"])
    assert f"one wall less against: {lost}" in "".join(lines[at : at + 3])
