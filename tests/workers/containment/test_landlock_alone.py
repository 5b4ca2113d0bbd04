"""Landlock by itself, where nothing else stands in the way."""

from __future__ import annotations

import ctypes
import errno
import os

import pytest

from llmspell_protocol.syscalls import NUMBERS
from tests.workers.containment.jailed import ORDINARY, Spawn, raw, spawned

pytestmark = pytest.mark.root
_OTHERS = frozenset({"seccomp", "zygote_seccomp", "rlimits_closed"})
_ROOT = ctypes.create_string_buffer(b"/")


def _list_the_root() -> int:
    return raw(NUMBERS["open"], _ROOT, os.O_RDONLY | os.O_DIRECTORY, 0)


@pytest.mark.parametrize("user", [0, ORDINARY])
def test_no_folder_can_be_opened(user: int) -> None:
    with spawned(Spawn(user=user, skip=_OTHERS, attack=_list_the_root)) as worker:
        assert worker.run() == -errno.EACCES


def test_without_landlock_the_empty_root_is_open() -> None:
    with spawned(Spawn(skip=_OTHERS | {"landlock"}, attack=_list_the_root)) as worker:
        found = worker.run()
        assert found is not None
        assert found >= 0
