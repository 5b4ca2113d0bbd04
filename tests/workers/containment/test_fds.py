"""How open descriptors are found, and what is said when the pipe ends have no place."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from typing import Any, NoReturn

import pytest

from llmspell_workers.containment import LayerMissing, Layers
from llmspell_workers.containment import _fds as fds


@pytest.mark.parametrize("number", [fds._LOOK_UP_TO - 1, fds._LOOK_UP_TO - 64])
def test_a_descriptor_is_seen_whatever_its_number(number: int) -> None:
    reader, writer = os.pipe()
    held = fcntl.fcntl(reader, fcntl.F_DUPFD_CLOEXEC, number)
    try:
        assert held == number
        assert {reader, writer, number} <= fds._open_descriptors()
        os.close(held)
        assert number not in fds._open_descriptors()
    finally:
        os.close(reader)
        os.close(writer)


def test_as_many_are_asked_about_as_the_soft_limit_lets_poll_take() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= fds._LOOK_UP_TO
    resource.setrlimit(resource.RLIMIT_NOFILE, (fds._LOOK_UP_TO - 1, hard))
    try:
        assert 0 <= min(fds._open_descriptors()) < fds._LOOK_UP_TO - 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_pipe_ends_without_a_place_are_told_in_the_kernel_s_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: Any) -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(fds, "_place", refuse)
    plan: Any = None
    with pytest.raises(LayerMissing) as caught:
        fds.apply(plan, Layers())
    assert (caught.value.layer, caught.value.reason) == ("fds", os.strerror(errno.EMFILE))
