"""What every test may use."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.command import plain_environment
from tests.support.groups import name_groups
from tests.support.leftovers import Leftovers
from tests.support.turns import turn
from tests.support.users import OrdinaryUser

_FORKING = Path(__file__).parent / "workers"
"""Tests that fork this very process, which must have no other thread then: glibc's fork and setuid are
not the same in one that has. They are the largest group, which a process takes before all others;
libraries of other tests leave threads behind."""


def pytest_configure() -> None:
    """Undo what a shell does to what it starts in the background: there, SIGINT is ignored.

    Programs under test would inherit that, and tests send it to them.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what only root can show when somebody else runs the suite; put last what is undisturbed.

    Last, there is little left to wait for.
    """
    items.sort(key=_is_undisturbed)
    for item in items:
        if _FORKING in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("workers"))
    if "PYTEST_XDIST_WORKER" in os.environ:
        name_groups(items)
    if os.getuid() == 0:
        return
    skip = pytest.mark.skip(reason="says something about a supervisor that root runs")
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(skip)


def _is_undisturbed(item: pytest.Item) -> bool:
    return item.get_closest_marker("undisturbed") is not None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Where processes share the suite, let those tests be alone that need it.

    Outermost, so that waiting is not counted against the test's limit.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with turn(alone=_is_undisturbed(item)):
        return (yield)


@pytest.fixture(autouse=True, scope="session")
def nothing_is_left() -> Iterator[None]:
    """When the suite is over, no process of ours is: zygote, worker, model or supervisor."""
    leftovers = Leftovers()
    yield
    assert not (found := leftovers.wait()), f"processes outlived the tests: {found}"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Environment variables for a command under test: a home of its own, none of the user's keys."""
    return plain_environment(tmp_path)


@pytest.fixture(scope="session")
def _user_home() -> Iterator[Path]:
    # Not below pytest's own temporary folder, which is closed to other users.
    home = Path(tempfile.mkdtemp(prefix="llmspell-user-"))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def ordinary_user(_user_home: Path) -> OrdinaryUser:
    """Runs commands as somebody who is not root; directly, when nobody here is root."""
    user = OrdinaryUser(user_home := _user_home)
    user.give(user_home)
    seen = user.run(
        [sys.executable, "-c", "import os, msgspec, llmspell_protocol; print(os.getuid())"]
    )
    if seen.returncode != 0:
        pytest.skip(f"this root may not become an ordinary user: {seen.stderr.strip()[-300:]}")
    assert seen.stdout.strip() == str(user.uid)
    return user
