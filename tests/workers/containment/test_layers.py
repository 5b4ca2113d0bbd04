"""A layer that is missing is named, and a strict run does not start without it."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import threading

import pytest

from llmspell_workers.containment import IN_FD, LayerMissing, Layers, LayerState, probe
from tests.workers.containment.jailed import ORDINARY, Spawn, spawned

pytestmark = pytest.mark.root
USERS = pytest.mark.parametrize("user", [0, ORDINARY])
EVERY_LAYER = (
    *("uid", "user_namespace", "mount_namespace", "cgroup_namespace", "uts_namespace"),
    *("ipc_namespace", "pid_namespace", "net_namespace", "ipc_limits", "oom_score"),
    *("core_filter", "session", "zygote_signals", "root", "inner_user_namespace"),
    *(
        "no_new_namespaces",
        "zygote_limits",
        "capabilities",
        "dumpable",
        "zygote_seccomp",
        "fds",
        "signals",
    ),
    *("rlimits", "write_xor_execute", "landlock", "rlimits_closed", "seccomp"),
)
_LIBC = ctypes.CDLL(None)


def _forbid_user_namespaces() -> None:
    """As a host does with user.max_user_namespaces=0: in a namespace, so that ours is not hit."""
    uid = os.geteuid()
    assert _LIBC.unshare(0x10000000) == 0
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")


def test_a_strict_zygote_refuses_a_host_without_user_namespaces_and_names_the_switch() -> None:
    with spawned(Spawn(user=ORDINARY, in_host=_forbid_user_namespaces)) as worker:
        assert worker.report["missing"] == "user_namespace"
        assert "user.max_user_namespaces" in worker.report["text"]


def test_a_degraded_worker_runs_without_user_namespaces_and_says_so() -> None:
    spawn = Spawn(user=ORDINARY, in_host=_forbid_user_namespaces, strict=False)
    with spawned(spawn) as worker:
        off = {name for name, state in worker.report.items() if state.startswith("off: ")}
        assert {"user_namespace", "net_namespace", "pid_namespace", "root"} <= off
        assert {"seccomp", "landlock", "no_new_privs", "rlimits_closed"}.isdisjoint(off)
        assert worker.fact("Seccomp") == "2"
        assert worker.run() == 0


@USERS
@pytest.mark.parametrize("layer", EVERY_LAYER)
def test_a_worker_without_one_layer_says_so_and_keeps_the_others(layer: str, user: int) -> None:
    with spawned(Spawn(user=user, skip=frozenset({layer}))) as worker:
        assert worker.report[layer] == "off: left out by a test"
        assert worker.run() == 0


def test_a_descriptor_that_the_engine_left_open_ends_the_worker() -> None:
    with spawned(Spawn(engine=lambda: os.dup(IN_FD))) as worker:
        assert worker.report["missing"] == "fds_proved"


def test_sockets_are_no_pipe_ends() -> None:
    def pair() -> tuple[int, int]:
        one, other = socket.socketpair()
        return one.detach(), other.detach()

    with spawned(Spawn(pipes=pair)) as worker:
        assert worker.report["missing"] == "fds"


def test_a_thread_of_the_engine_is_under_the_filter_too() -> None:
    go = threading.Event()

    def late_crime() -> None:
        go.wait()
        os.getppid()

    def attack() -> int:
        go.set()
        threading.Event().wait(10)
        return 1

    def engine() -> None:
        # Made after the fork: CPython 3.13 on starts no thread that was made before it.
        threading.Thread(target=late_crime).start()

    with spawned(Spawn(engine=engine, attack=attack)) as worker:
        assert worker.run() is None
        assert worker.end() == -signal.SIGSYS


def test_a_memory_bomb_ends_in_a_memory_error() -> None:
    def bomb() -> int:
        try:
            return len(bytearray(1 << 30))
        except MemoryError:
            return -1

    with spawned(Spawn(attack=bomb)) as worker:
        assert worker.run() == -1


def test_a_busy_loop_ends_at_the_processor_limit() -> None:
    def spin() -> int:
        while True:
            pass

    with spawned(Spawn(attack=spin, options={"cpu": 0.5})) as worker:
        assert worker.run() is None
        assert worker.end() == -signal.SIGXCPU


def test_the_probe_finds_every_layer_on() -> None:
    found = {state.name: state.state for state in probe()}
    assert set(EVERY_LAYER) <= set(found)
    assert set(found.values()) == {"on"}


def test_a_missing_layer_is_one_line_with_its_remedy() -> None:
    with pytest.raises(LayerMissing) as caught:
        Layers(strict=True).off("landlock", "not implemented", "use a newer kernel")
    assert str(caught.value) == (
        "isolation layer 'landlock' is missing: not implemented; use a newer kernel"
    )


def _refused() -> str:
    raise OSError(errno.EPERM, "not permitted")


def test_a_layer_that_is_refused_ends_a_strict_run_and_is_recorded_in_a_degraded_one() -> None:
    with pytest.raises(LayerMissing) as caught:
        Layers().attempt("root", _refused, "allow it")
    assert (caught.value.layer, caught.value.reason) == ("root", "not permitted")
    assert caught.value.remedy == "allow it"
    degraded = Layers(strict=False)
    assert not degraded.attempt("root", _refused, "allow it")
    assert degraded.states() == [LayerState("root", "off", "not permitted", "allow it")]
    assert not degraded.has("root")


def test_a_layer_that_any_linux_has_ends_a_degraded_run_too() -> None:
    with pytest.raises(LayerMissing, match="'fds' is missing: not permitted"):
        Layers(strict=False).require("fds", _refused)


def test_an_optional_layer_that_is_refused_ends_no_run() -> None:
    layers = Layers()
    assert not layers.attempt("oom_score", _refused, optional=True)
    assert layers.as_dict() == {"oom_score": "off: not permitted"}


def test_layers_are_recorded_in_their_order_with_what_they_say() -> None:
    layers = Layers(skip=frozenset({"root"}))
    assert layers.attempt("uid", lambda: "private")
    layers.require("root", _refused)
    layers.without("cgroup", "uid")
    assert list(layers.as_dict().items()) == [
        ("uid", "on: private"),
        ("root", "off: left out by a test"),
        ("cgroup", "off: needs uid"),
    ]
    assert [layers.has(name) for name in ("uid", "root", "cgroup", "none")] == [True, *[False] * 3]


def test_an_error_without_words_of_the_kernel_is_told_in_its_own() -> None:
    def broken() -> str:
        raise OSError("its own words")

    layers = Layers(strict=False)
    layers.attempt("root", broken)
    assert layers.as_dict() == {"root": "off: its own words"}
