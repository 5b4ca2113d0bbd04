"""Lua 5.4: the declaration of the engine, and its runtime.

The runtime is made in the zygote with the prelude loaded and nothing of a spell in it; workers
inherit it by fork, so that it costs them nothing. Workers of one zygote thereby share the address
layout and the seed of string hashes; the random generator is seeded anew in each.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

import lupa  # type: ignore[import-untyped]
import msgspec
from lupa import lua54

from llmspell_protocol import (
    MAX_DEPTH,
    MAX_FUNCTIONS,
    MAX_NESTING,
    WEIGHT_CONTAINER,
    WEIGHT_TEXT,
    Start,
    WorkerLimits,
)

from ...containment import (
    SyscallPolicy,
    clocks,
    futex,
    plain,
    private_memory,
    read_only_from,
    write_only_to,
)
from ...library import LIBRARY
from .._conversion import REASONS, TOO_NESTED, UNKNOWN_FUNCTION, WEIGHT
from ._failure import MEMORY, OUT_OF_MEMORY
from ._host import Host

if TYPE_CHECKING:
    from ..._session import Session
    from .._interface import EngineOptions

# Not by pathlib, whose import is a twentieth of a zygote's start.
_PRELUDE: Final = os.path.join(os.path.dirname(__file__), "prelude")

_PARTS: Final = (
    "errors",
    "codec",
    "console",
    "environment",
    "handles",
    "bindings",
    "libraries",
    "mathematics",
    "main",
)
"""The prelude's chunks, in the order of loading."""

_OWN_CHUNK: Final = b"=[llmspell]"
"""The prelude's name in Lua; frames of this name are left out of what scripts see of a stack."""

_PRELOAD_MEMORY: Final = 1 << 30
"""Bytes while the zygote loads the prelude; `start` sets the run's own limit. Not unlimited, since
lupa counts memory only in a runtime that was made with a limit."""

_MAX_SYSCALLS: Final = 16

_SEARCH: Final = """
local forbidden = {"python", "io", "package", "require", "dofile", "loadfile", "warn"}
for _, name in ipairs(forbidden) do assert(_G[name] == nil, name) end
for name in pairs(debug) do assert(name == "traceback", "debug." .. name) end
for _, name in ipairs({"execute", "exit", "getenv", "remove", "rename", "setlocale", "tmpname"}) do
  assert(os[name] == nil, "os." .. name)
end
assert(string.dump == nil, "string.dump")
assert(getmetatable("") == false, "the metatable of strings")
assert(load("\\27Lua") == nil, "bytecode")
local seen = {}
local function walk(value)
  assert(type(value) ~= "userdata", "a host object")
  if type(value) ~= "table" or seen[value] then return end
  seen[value] = true
  for key, item in next, value do walk(key) walk(item) end
end
walk(_G)
"""
"""Looks for what must not be there. In the zygote: every worker is a copy of what was searched."""

_TRIAL: Final = """
assert(python == nil and io == nil and require == nil and os.execute == nil)
return #string.rep(string.rep("x", 100), 100)
"""
"""Allocates. To be told of it, and to tell what came of it, Lua crosses into Python and back."""


def _refuse_attributes(_object: object, name: object, _setting: object) -> NoReturn:
    """No attribute of a Python object is anything to a script, should it ever hold one."""
    raise AttributeError(name)


class LuaEngine:
    """Lua 5.4 through lupa. An instance lives in one process and runs one script."""

    name: ClassVar[str] = "lua"
    suffixes: ClassVar[tuple[str, ...]] = (".lua",)
    address_space: ClassVar[int | None] = 28 << 20
    """Bytes: files 10 MB, the stack 8, and as much again as a larger build of CPython may need."""

    _runtime: lua54.LuaRuntime
    _main: Any
    _reseed: Any
    _host: Host | None = None
    _version: str

    @property
    def version(self) -> str:
        """Such as `Lua 5.4 (lupa 2.8)`."""
        return self._version

    def preload(self) -> None:
        """Make the runtime and load the prelude. No thread is started."""
        self._runtime = lua54.LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_refuse_attributes,
            max_memory=_PRELOAD_MEMORY,
        )
        version = ".".join(map(str, self._runtime.lua_version))
        self._version = f"Lua {version} (lupa {lupa.__version__})"
        # The first use of a date reads the time zone from a file, which a worker cannot.
        self._runtime.execute(b"os.date('!%c') os.date('*t')")
        shared = self._shared_table()
        for part in _PARTS:
            with open(f"{_PRELUDE}/{part}.lua", "rb") as file:
                text = file.read()
            chunk = self._runtime.compile(text, name=_OWN_CHUNK, mode=b"t")
            result = chunk(shared)
            if result is not None:
                self._main, self._reseed = result
        self._try(_SEARCH)
        self._runtime.gccollect()

    def _shared_table(self) -> Any:
        """What the prelude's chunks share: constants, the host function, then each other."""
        table = self._runtime.table_from
        shared = self._runtime.table()
        library = {m.encode(): table([n.encode() for n in f]) for m, f in LIBRARY.items()}
        constants = {
            b"own_chunk": _OWN_CHUNK,
            b"out_of_memory": OUT_OF_MEMORY.encode(),
            b"max_depth": MAX_DEPTH,
            b"max_functions": MAX_FUNCTIONS,
            b"max_nesting": MAX_NESTING,
            b"too_nested": TOO_NESTED.encode(),
            b"unknown_function": UNKNOWN_FUNCTION.encode(),
            b"max_weight": WEIGHT,
            b"text_weight": WEIGHT_TEXT,
            b"container_weight": WEIGHT_CONTAINER,
            b"reasons": table({k.encode(): v.encode() for k, v in REASONS.items()}),
            b"library": table(library),
        }
        for key, value in constants.items():
            shared[key] = value

        def host(operation: bytes, *arguments: Any) -> bytes | int:
            assert self._host is not None  # set before anything of a script runs
            return self._host.cross(operation, *arguments)

        shared[b"host"] = shared[b"run_host"] = host
        return shared

    def syscalls(self, *, jit: bool) -> SyscallPolicy:  # noqa: ARG002 - Lua has none
        """What CPython, its allocator and Lua need. No executable memory."""
        return SyscallPolicy(
            (
                *read_only_from(),
                *write_only_to(),
                *private_memory(),
                *futex(),
                *clocks("os.clock; os.time where the vDSO cannot tell the time", "util.sleep"),
                *plain(getrandom="util.uuid", exit_group="the worker's end"),
            ),
            most=_MAX_SYSCALLS,
        )

    def start(self, options: EngineOptions) -> None:
        """Set the heap's limit and seed the random generator."""
        self._runtime.set_max_memory(options.heap)
        low, high = (int.from_bytes(os.urandom(8), "little", signed=True) for _ in range(2))
        self._reseed(low, high)

    def self_test(self) -> None:
        """Run a small program in a spell's own globals."""
        if self._try(_TRIAL) != 10_000:
            raise RuntimeError("Lua's self-test gave a wrong result")

    def _try(self, source: str) -> object:
        """What a program of ours returns. Raises `RuntimeError` with what it found."""
        limits = WorkerLimits(heap=0, max_request=0, max_result=0, max_in_flight=0)
        empty = msgspec.Raw(b"\x80")
        host = self._run(Start("execute", "self-test", source, empty, {}, {}, limits), None)
        if host.failure is not None:
            raise RuntimeError(f"Lua's self-test found {host.failure.error.message}")
        return None if host.value is None else msgspec.msgpack.decode(host.value)

    def validate(self, start: Start) -> None:
        """Compile without running. Raises `ScriptFailure`."""
        host = self._run(start, None)
        if host.failure is not None:
            raise host.failure

    def execute(self, start: Start, session: Session) -> bytes:
        """Run the script. Returns its first value as msgpack; raises `ScriptFailure`."""
        host = self._run(start, session)
        if host.failure is not None:
            raise host.failure
        assert host.value is not None  # the prelude ends with a value or a failure
        return host.value

    def _run(self, start: Start, session: Session | None) -> Host:
        self._host = host = Host(self._runtime, start, session)
        try:
            self._main()
        except lua54.LuaError:  # memory ran out where not even the prelude could say so
            host.failure = MEMORY
        return host
