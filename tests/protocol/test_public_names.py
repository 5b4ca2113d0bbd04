"""The names that other packages may rely on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import llmspell_protocol

NAMES = """
INT_MAX INT_MIN MAX_DEPTH MAX_FUNCTIONS MAX_HOST_WEIGHT MAX_NESTING MAX_WEIGHT NEED_DATA NULL
PROTOCOL_VERSION WEIGHT_CONTAINER WEIGHT_TEXT
ArgumentError Binding Call Caps Chunk Close Connection Credit ErrorInfo ErrorKind Failure FailureCause
Fault HostMessage Invoke LocalProtocolError Log LogLevel Message MethodKind NeedData
ObjectHandle Parameter ProtocolError Raise Ready RemoteProtocolError Reply Result Return Role ScriptFunction
ScriptValue SessionOver Signature Start State Trap ValueRejected WorkerLimits WorkerMessage arms_of check pack
result_of takes_functions type_name unpack
"""

LEFT_ALONE = ("asyncio", "inspect", "selectors", "socket", "ssl", "subprocess", "threading")


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(llmspell_protocol.__all__) == set(NAMES.split())


def test_the_list_of_public_names_is_sorted_as_ruff_sorts_it() -> None:
    def kind(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2), name

    assert sorted(llmspell_protocol.__all__, key=kind) == llmspell_protocol.__all__


def test_every_public_name_exists() -> None:
    assert all(hasattr(llmspell_protocol, name) for name in llmspell_protocol.__all__)


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(llmspell_protocol.__file__).parent / "py.typed").exists()


def test_the_package_imports_no_module_that_talks_to_the_world() -> None:
    root = str(Path(llmspell_protocol.__file__).parents[1])
    code = (
        "import sys, msgspec; seen = set(sys.modules);"
        f"sys.path.insert(0, {root!r}); import llmspell_protocol;"
        f"print([m for m in {LEFT_ALONE!r} if m in set(sys.modules) - seen])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.strip() == "[]"
