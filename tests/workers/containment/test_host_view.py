"""What the host sees of a locked worker."""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import struct
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.syscalls import NUMBERS
from tests.support.processes import children
from tests.workers.containment.jailed import ORDINARY, Spawn, raw, spawned

USERS = pytest.mark.parametrize(
    "user",
    [pytest.param(0, marks=pytest.mark.root), pytest.param(ORDINARY, marks=pytest.mark.root)],
)
NAMESPACES = ("user", "pid", "net", "ipc", "uts", "mnt", "cgroup")


@USERS
def test_the_host_sees_a_filter_no_new_privileges_and_no_capability(user: int) -> None:
    with spawned(Spawn(user=user)) as worker:
        assert worker.fact("Seccomp") == "2"
        assert worker.fact("NoNewPrivs") == "1"
        assert worker.fact("Umask") == "0077"
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(worker.fact(kind), 16) == 0, kind
        assert worker.report["capabilities"] == "on: none in any set, securebits locked"


@USERS
def test_every_namespace_is_the_worker_s_own(user: int) -> None:
    with spawned(Spawn(user=user)) as worker:
        shared = [
            kind
            for kind in NAMESPACES
            if os.readlink(f"/proc/{worker.pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")
        ]
        assert shared == []


@USERS
def test_exactly_the_two_pipe_ends_are_open(user: int) -> None:
    with spawned(Spawn(user=user)) as worker:
        folder = f"/proc/{worker.pid}/fd"
        found = {name: os.readlink(f"{folder}/{name}")[:5] for name in os.listdir(folder)}
        assert found == {"3": "pipe:", "4": "pipe:"}
        for name in found:  # nor would another program that it began have them
            flags = Path(f"/proc/{worker.pid}/fdinfo/{name}").read_text().partition("flags:")[2]
            assert int(flags.split()[0], 8) & os.O_CLOEXEC


@USERS
def test_no_user_of_the_host_is_the_worker(user: int) -> None:
    with spawned(Spawn(user=user)) as worker:
        ids = {int(n) for n in (worker.fact("Uid") + " " + worker.fact("Gid")).split()}
        assert len(ids) == 1
        assert ids == {user} if user else min(ids) > 0x6FFF_FFFF
        assert worker.fact("Groups") == ""


@USERS
def test_the_worker_goes_first_when_memory_runs_out(user: int) -> None:
    with spawned(Spawn(user=user)) as worker:
        assert Path(f"/proc/{worker.pid}/oom_score_adj").read_text().strip() == "1000"


@pytest.mark.root
def test_the_limits_are_those_of_the_plan() -> None:
    with spawned(Spawn(options={"cpu": 3.2, "address_space": 1 << 32})) as worker:
        lines = Path(f"/proc/{worker.pid}/limits").read_text().splitlines()
        rows = {line[:25].strip(): line[25:].split()[:2] for line in lines}
        expected = {
            "Max cpu time": ["4", "5"],
            "Max file size": ["0", "0"],
            "Max data size": [str(512 << 20)] * 2,
            "Max core file size": ["0", "0"],
            "Max processes": ["0", "0"],
            "Max open files": ["0", "0"],
            "Max locked memory": ["0", "0"],
            "Max address space": [str(1 << 32)] * 2,
            "Max pending signals": ["0", "0"],
            "Max msgqueue size": ["0", "0"],
            "Max stack size": [str(8 << 20)] * 2,
            "Max file locks": ["0", "0"],
            "Max nice priority": ["0", "0"],
            "Max realtime priority": ["0", "0"],
        }
        assert {name: rows[name] for name in expected} == expected


@pytest.mark.root
def test_the_limits_of_a_zygote_leave_room_for_workers_and_no_more() -> None:
    with spawned(Spawn()) as worker:
        zygote = next(iter(children(worker.outer)))
        lines = Path(f"/proc/{zygote}/limits").read_text().splitlines()
        rows = {line[:25].strip(): line[25:].split()[:2] for line in lines}
        expected = {
            "Max processes": ["4096", "4096"],
            "Max open files": ["4096", "4096"],
            "Max file size": ["0", "0"],
            "Max core file size": ["0", "0"],
            "Max locked memory": ["0", "0"],
            "Max pending signals": ["0", "0"],
            "Max msgqueue size": ["0", "0"],
            "Max file locks": ["0", "0"],
            "Max nice priority": ["0", "0"],
            "Max realtime priority": ["0", "0"],
        }
        assert {name: rows[name] for name in expected} == expected


@pytest.mark.root
def test_while_an_engine_starts_it_has_a_few_descriptors_and_may_start_threads() -> None:
    def limits() -> None:
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (64, 64)
        assert resource.getrlimit(resource.RLIMIT_NPROC)[0] > 0

    with spawned(Spawn(engine=limits)) as worker:
        assert "missing" not in worker.report


@pytest.mark.root
def test_a_limit_that_is_lower_already_stays() -> None:
    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 2 << 20))
        resource.setrlimit(resource.RLIMIT_CPU, (2, 2))

    with spawned(Spawn(in_host=lower)) as worker:
        lines = Path(f"/proc/{worker.pid}/limits").read_text().splitlines()
        rows = {line[:25].strip(): line[25:].split()[:2] for line in lines}
        assert rows["Max stack size"] == [str(2 << 20)] * 2
        assert rows["Max cpu time"] == ["2", "2"]


@USERS
def test_every_signal_has_its_default_and_none_is_blocked(user: int) -> None:
    with spawned(Spawn(user=user)) as worker:
        for kind in ("SigBlk", "SigIgn", "SigCgt"):
            assert int(worker.fact(kind), 16) == 0, kind


def _ignore_signals_of_glibc() -> None:
    ignored = struct.pack("QQQQ", signal.SIG_IGN, 0, 0, 0)  # the kernel's struct sigaction
    for number in (32, 33):
        assert raw(NUMBERS["rt_sigaction"], number, ignored, None, 8) == 0


@USERS
def test_signals_that_glibc_keeps_for_itself_are_at_their_default_too(user: int) -> None:
    with spawned(Spawn(user=user, in_host=_ignore_signals_of_glibc)) as worker:
        assert int(worker.fact("SigIgn"), 16) == 0


@pytest.mark.root
def test_two_zygotes_have_different_users_of_the_private_range() -> None:
    with spawned(Spawn()) as one, spawned(Spawn()) as other:
        users = {int(worker.fact("Uid").split()[0]) for worker in (one, other)}
    assert len(users) == 2
    assert all(0x7000_0000 <= user < 0x7FFF_0000 for user in users)


@pytest.mark.root
def test_there_is_one_filter_of_the_zygote_and_one_of_the_worker() -> None:
    with spawned(Spawn()) as worker:
        zygote = next(iter(children(worker.outer)))
        status = Path(f"/proc/{zygote}/status").read_text()
        assert int(worker.fact("Seccomp_filters")) == int(filters_of(status)) + 1


@pytest.mark.root
@pytest.mark.parametrize(
    ("trap", "words"),
    [
        ("none", "a forbidden call is not named"),
        ("sealed", "a forbidden call is named, by a sealed handler"),
        ("unsealed", "a forbidden call is named, by an unsealed handler"),
    ],
)
def test_the_report_says_whether_a_forbidden_call_is_named(trap: Any, words: str) -> None:
    with spawned(Spawn(trap=trap)) as worker:
        assert worker.report["seccomp"].endswith(words)


@pytest.mark.root
def test_what_a_zygote_may_not_do_is_answered_as_a_missing_right() -> None:
    def no_socket() -> None:
        assert raw(NUMBERS["socket"], 2, 1, 0) == -errno.EPERM

    with spawned(Spawn(in_jail=no_socket)) as worker:
        assert worker.report


def filters_of(status: str) -> str:
    return status.split("Seccomp_filters:")[1].split(maxsplit=1)[0]


@pytest.mark.root
def test_the_worker_s_root_is_empty_and_read_only() -> None:
    with spawned(Spawn()) as worker:
        root = f"/proc/{worker.pid}/root"
        assert os.listdir(root) == []
        facts = os.statvfs(root)
        assert facts.f_flag & os.ST_RDONLY
        assert facts.f_ffree == 0


@pytest.mark.root
def test_the_report_names_every_layer_in_the_order_of_the_checklist() -> None:
    with spawned(Spawn()) as worker:
        off = [name for name, state in worker.report.items() if not state.startswith("on: ")]
        assert off == ["cgroup"]
        names = list(worker.report)
        assert names[0] == "uid"
        assert names[-1] == "seccomp"
        assert names.index("landlock") < names.index("fds_proved") < names.index("seccomp")


@pytest.mark.root
def test_the_death_of_the_outer_process_ends_the_worker() -> None:
    with spawned(Spawn()) as worker:
        gone = os.pidfd_open(worker.pid)
        os.kill(worker.outer, signal.SIGKILL)
        try:
            assert select.select([gone], [], [], 5)[0]
        finally:
            os.close(gone)
