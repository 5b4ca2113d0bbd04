"""SpiderMonkey through PythonMonkey's native core: loaded in the zygote, begun in the worker.

PythonMonkey's own Python package never runs. Two hooks that embedders of SpiderMonkey have are
taken back from the core (`js/Promise.h`), because what it does there does not fit:

- *Promise jobs.* The core makes a Python object of each and wants a running asyncio loop. Here they
  are appended to an array, which one JavaScript function works off: ten times faster, and the same
  on every Python.
- *Unhandled rejections.* The core takes each rejection for unhandled at once, also those that are
  caught a moment later. Here they are appended to an array, to be looked at when no job is left.

So both callbacks only append to arrays, and run no script. A third one notes that memory ran out.
"""

from __future__ import annotations

import _imp
import ctypes
import importlib.machinery
import mmap
import os
import signal
import sys
import types
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ._self_hosted import SelfHosted
from ._threads import extra_threads

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGE: Final = "pythonmonkey"
_MOZJS: Final = "libmozjs-"

_ENUMERATE: Final = 1  # JSPROP_ENUMERATE: otherwise an ordinary element
_MAX_BYTES: Final = 0  # JSGC_MAX_BYTES
_UINT32_MAX: Final = (1 << 32) - 1

_CELLS: Final = 0.75
"""The part of the heap that the collector's own cells may take. Its error comes before the
kernel's only if elements, text and buffers, which it counts apart, still find room."""
_CRASHES: Final = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGTRAP, signal.SIGFPE)

_ROOTED: Final = 24
"""Where JS::PersistentRooted keeps its pointer: after the links of its list. Checked at the start
against the global object, whose address the engine tells."""
_JOB_QUEUE_SLOTS: Final = 8
"""Virtual functions of JS::JobQueue (`js/Promise.h`)."""
_VTABLE_HEAD: Final = 16
"""Bytes before the first function (Itanium C++ ABI)."""

_Address = ctypes.c_void_p
# The last two arguments, which nobody needs, stay in their registers.
_Enqueue = ctypes.CFUNCTYPE(ctypes.c_bool, *[_Address] * 4)
_Track = ctypes.CFUNCTYPE(None, _Address, ctypes.c_bool, _Address, ctypes.c_int, _Address)
_Note = ctypes.CFUNCTYPE(None)


class NativeCore:
    """The two libraries. Made in the zygote: opens files, starts no thread, runs no script."""

    def __init__(self) -> None:
        """Raises `ImportError` where PythonMonkey is not installed."""
        _import_for_the_core()
        spec = importlib.machinery.PathFinder.find_spec(_PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise ImportError(f"{_PACKAGE} is not installed")
        folder = spec.submodule_search_locations[0]
        self._path = f"{folder}/{_PACKAGE}.so"
        mozjs = min(f for f in os.listdir(folder) if f.startswith(_MOZJS) and f.endswith(".so"))
        # By the very paths that are used later: the dynamic linker then opens no file.
        # PyDLL: an allocation may collect garbage, which drops references to Python objects.
        self._mozjs = ctypes.PyDLL(f"{folder}/{mozjs}")
        self._core = ctypes.PyDLL(self._path)
        self.version = _version(folder, mozjs)
        stub = types.ModuleType(_PACKAGE)
        stub.__path__ = [folder]
        sys.modules[_PACKAGE] = stub
        self._bind()
        # A callback needs executable memory, which only an unlocked process can map.
        self._on_job = _Enqueue(self._enqueue)
        self._on_rejection = _Track(self._reject)
        self._on_exhaustion = _Note(self._exhaust)
        self.self_hosted = SelfHosted(self._core, self._mozjs)
        self.extra_threads = extra_threads(self._mozjs, f"{folder}/{mozjs}")
        """Whether the engine may start threads; None where that cannot be said."""

    def _bind(self) -> None:
        function = self._function
        integer, unsigned = ctypes.c_int, ctypes.c_uint
        self._global = function("_ZN2JS19CurrentGlobalOrNullEP9JSContext", _Address, _Address)
        self._length = function(
            "_ZN2JS14GetArrayLengthEP9JSContextNS_6HandleIP8JSObjectEEPj",
            ctypes.c_bool, _Address, _Address, _Address,
        )  # fmt: skip
        define = "_Z16JS_DefineElementP9JSContextN2JS6HandleIP8JSObjectEEj"
        self._define_object = function(
            f"{define}S5_j", ctypes.c_bool, _Address, _Address, unsigned, _Address, unsigned
        )
        self._define_int = function(
            f"{define}ij", ctypes.c_bool, _Address, _Address, unsigned, integer, unsigned
        )
        self._set_tracker = function(
            "_ZN2JS34SetPromiseRejectionTrackerCallbackEP9JSContextPFvS1_bNS_6HandleIP8JSObjectEE"
            "NS_29PromiseRejectionHandlingStateEPvES7_",
            None, _Address, _Track, _Address,
        )  # fmt: skip
        self._set_jobs = function(
            "_ZN2JS11SetJobQueueEP9JSContextPNS_8JobQueueE", None, _Address, _Address
        )
        self._set_exhaustion = function(
            "_ZN2JS22SetOutOfMemoryCallbackEP9JSContextPFvS1_PvES2_",
            None, _Address, _Note, _Address,
        )  # fmt: skip
        self._set_gc = function(
            "_Z17JS_SetGCParameterP9JSContext12JSGCParamKeyj", None, _Address, integer, unsigned
        )
        self._disable_jit = function("_ZN2JS17DisableJitBackendEv", None)

    def _function(self, symbol: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        found = self._mozjs[symbol]
        found.restype, found.argtypes = result, arguments
        return found

    def start(self, *, heap: int, jit: bool) -> None:
        """Begin the engine. Raises `RuntimeError` if it is not as expected."""
        ours = (self._on_job, self._on_rejection, self._on_exhaustion)
        _seal(*ours, *self.self_hosted.callbacks)
        if not jit:
            self._disable_jit()  # only before the engine's initialisation
            if self.extra_threads is not None:
                self.extra_threads.value = False
        name = f"{_PACKAGE}.{_PACKAGE}"
        spec = importlib.machinery.ModuleSpec(name, None, origin=self._path)
        module = _imp.create_dynamic(spec)
        _imp.exec_dynamic(module)
        self._eval: Callable[..., Any] = module.eval
        self._context = _Address.in_dll(self._core, "GLOBAL_CX").value
        this = self._eval("globalThis")
        if _Address.from_address(_root(this)).value != self._global(self._context):
            raise RuntimeError("this build of PythonMonkey keeps its objects in another way")
        self._set_gc(self._context, _MAX_BYTES, min(int(heap * _CELLS), _UINT32_MAX))
        if not jit:
            # They serve WebAssembly. An allocation that may not fail ends in a SIGSEGV, and the
            # supervisor shall see that, not the system call of a handler.
            for number in _CRASHES:
                signal.signal(number, signal.SIG_DFL)
        self._take_jobs()
        self._set_tracker(self._context, self._on_rejection, None)
        self._set_exhaustion(self._context, self._on_exhaustion, None)

    def attach(self, jobs: Any, rejections: Any) -> None:
        """Append promise jobs and rejections to these empty JavaScript arrays from now on.

        `jobs` is where the next job goes; whoever works them off sets it to what is left.
        """
        self._kept = (jobs, rejections)  # their roots live as long as these
        self._job_array, self._rejections = _root(jobs), _root(rejections)
        self.jobs = 0
        self.exhausted = False
        """Memory has run out at some time, perhaps where a job or a reaction was to be made of it: what
        waits for that waits for ever."""

    def evaluate(self, source: str, name: str, line: int = 1) -> Any:
        """Run `source` as a classic script whose first line errors call `name:line`."""
        return self._eval(source, {"filename": name, "lineno": line})

    def _take_jobs(self) -> None:
        table = _Address.in_dll(self._core, "_ZTV8JobQueue")
        functions = _Address * _JOB_QUEUE_SLOTS
        theirs = functions.from_address(ctypes.addressof(table) + _VTABLE_HEAD)
        enqueue = _Address.in_dll(
            self._core,
            "_ZN8JobQueue17enqueuePromiseJobEP9JSContextN2JS6HandleIP8JSObjectEES6_S6_S6_",
        )
        ours = functions(*theirs)
        ours[list(theirs).index(ctypes.addressof(enqueue))] = ctypes.cast(self._on_job, _Address)
        self._job_table = ours
        self._job_queue = _Address(ctypes.addressof(ours))  # an object of no more than its type
        self._set_jobs(self._context, ctypes.addressof(self._job_queue))

    def _enqueue(self, _queue: int, context: int, _promise: int, job: int) -> bool:
        kept = bool(self._define_object(context, self._job_array, self.jobs, job, _ENUMERATE))
        self.jobs += kept
        return kept

    def _exhaust(self) -> None:
        self.exhausted = True

    def _reject(self, context: int, _muted: bool, promise: int, state: int, _data: int) -> None:
        if self._append(context, self._rejections, self._define_object, promise):
            self._append(context, self._rejections, self._define_int, state)

    def _append(self, context: int, array: int, define: Callable[..., Any], value: int) -> bool:
        length = ctypes.c_uint32()
        if not self._length(context, array, ctypes.addressof(length)):
            return False
        return bool(define(context, array, length.value, value, _ENUMERATE))


def _seal(*callbacks: Any) -> None:
    """Take the right to write from the pages of these callbacks; they are never changed again.

    Raises `OSError`. No callback can be made in this process afterwards.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for callback in callbacks:
        address = ctypes.cast(callback, _Address).value
        assert address is not None
        page = address - address % mmap.PAGESIZE
        if libc.mprotect(_Address(page), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC):
            raise OSError(ctypes.get_errno(), "the pages of callbacks stay writable")


class _Event:
    """What the core asks of `asyncio.Event`: it marks by one whether promise jobs are waiting."""

    def set(self) -> None:
        """None wait. Nobody asks: no job ever comes to the core."""

    def clear(self) -> None:
        """Some wait."""


def _no_loop() -> NoReturn:
    raise RuntimeError("no running event loop")


def _import_for_the_core() -> None:
    """Import what the core imports at its start, when there is no file to import from."""
    import datetime  # noqa: F401, ICN001 - for its C interface

    if "asyncio" not in sys.modules:
        # Of asyncio the core makes one event, and asks for a loop, of which a worker has none.
        # The real one, even without TLS, is 35 of 110 ms of a zygote's start, and sixty modules in
        # the memory of every worker.
        stand_in = types.ModuleType("asyncio")
        vars(stand_in).update(Event=_Event, get_running_loop=_no_loop, get_event_loop=_no_loop)
        sys.modules["asyncio"] = stand_in


def _version(package: str, mozjs: str) -> str:
    """Such as `SpiderMonkey 136, pythonmonkey 1.4.1`, from the names of files."""
    # importlib.metadata would cost a zygote ten times the rest of this function.
    engine = mozjs.removeprefix(_MOZJS).partition("a")[0]
    for name in os.listdir(os.path.dirname(package)):
        if name.startswith(f"{_PACKAGE}-") and name.endswith(".dist-info"):
            return f"SpiderMonkey {engine}, {name.removesuffix('.dist-info').replace('-', ' ')}"
    return f"SpiderMonkey {engine}, {_PACKAGE}"


def _root(proxy: Any) -> int:
    """The address of the rooted pointer to the JavaScript object that `proxy` stands for."""
    # The core's types add one field to that of dict or list: a pointer to its root.
    base = list if isinstance(proxy, list) else dict
    rooted = _Address.from_address(id(proxy) + base.__basicsize__).value
    assert rooted is not None
    return rooted + _ROOTED
