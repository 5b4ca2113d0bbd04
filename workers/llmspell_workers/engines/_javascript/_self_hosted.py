"""SpiderMonkey's own JavaScript, parsed once for a zygote instead of once for each worker.

A good part of the standard library is written in JavaScript, and to parse it is half of an engine's
start: 8 of 16 ms. SpiderMonkey can write down what it has parsed and start from that, which takes
0.7 ms and leaves 1.6 MB unwritten that workers then share. PythonMonkey does not ask it to: it calls
`JS::InitSelfHostedCode(context)`. That call goes through a slot in the table of what its library
imports, and here the slot leads to a function that passes on what was parsed before.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

_INIT: Final = (
    "_ZN2JS18InitSelfHostedCodeEP9JSContextN7mozilla4SpanIKhLm18446744073709551615EEEPFbS1_S5_E"
)
"""bool JS::InitSelfHostedCode(JSContext*, Span<const uint8_t> parsed, bool (*writer)(JSContext*, Span))."""
_SET_BUILD_ID: Final = (
    "_ZN2JS19SetProcessBuildIdOpEPFbPN7mozilla6VectorIcLm0EN2js17SystemAllocPolicyEEEE"
)

# Of <elf.h>: tags of the dynamic section, and the sizes of its entries, of symbols, of relocations.
_DT_NULL: Final = 0
_DT_PLTRELSZ: Final = 2
_DT_STRTAB: Final = 5
_DT_SYMTAB: Final = 6
_DT_JMPREL: Final = 23
_DT_BIND_NOW: Final = 24
_DYNAMIC: Final = 16
_SYMBOL: Final = 24
_RELOCATION: Final = 24

_Address = ctypes.c_void_p
# A Span is its length and its address, in two registers.
_ARGUMENTS: Final = (_Address, ctypes.c_size_t, _Address, _Address)
_Init = ctypes.CFUNCTYPE(ctypes.c_bool, *_ARGUMENTS)
_Write = ctypes.CFUNCTYPE(ctypes.c_bool, _Address, ctypes.c_size_t, _Address)
_BuildId = ctypes.CFUNCTYPE(ctypes.c_bool, _Address)


class SelfHosted:
    """What is between PythonMonkey's call and SpiderMonkey. Made in the zygote."""

    def __init__(self, core: ctypes.CDLL, mozjs: ctypes.CDLL) -> None:
        """Does nothing where `core` is linked in a way that leaves no slot to write to."""
        self.parsed = b""
        """What a start is to take over; empty for one that parses."""
        self.written = b""
        """What the last start that parsed has written down, if it was to."""
        self.writes = False
        """Whether a start is to write down what it parses."""
        self._init = mozjs[_INIT]
        self._init.restype, self._init.argtypes = ctypes.c_bool, _ARGUMENTS
        self._on_init = _Init(self._start)
        self._on_written = _Write(self._keep)
        # The parsed form names the build that made it. It never leaves this process and its forks.
        self._on_build_id = _BuildId(lambda _: True)
        self.callbacks = (self._on_init, self._on_written, self._on_build_id)
        slot = _slot(core, _INIT.encode())
        if slot is not None:
            mozjs[_SET_BUILD_ID](self._on_build_id)
            slot.value = ctypes.cast(self._on_init, _Address).value

    def _start(self, context: int, _length: int, _parsed: int, _writer: int) -> bool:
        # Used where it is, for as long as the engine lives. What is no good is parsed after all.
        parsed = ctypes.cast(ctypes.c_char_p(self.parsed), _Address)
        writer = ctypes.cast(self._on_written, _Address) if self.writes else None
        return bool(self._init(context, len(self.parsed), parsed, writer))

    def _keep(self, _context: int, length: int, parsed: int) -> bool:
        self.written = ctypes.string_at(parsed, length)
        return True


def _slot(library: ctypes.CDLL, symbol: bytes) -> Any:
    """Where the library keeps the address of a function that it imports, or None.

    glibc's handle of a library is its `struct link_map` (link.h): where it was loaded comes first,
    and third the address of its dynamic section.
    """
    loaded, _, dynamic = (_Address * 3).from_address(library._handle)
    tags = _tags(dynamic or 0)
    if _DT_BIND_NOW in tags or not {_DT_JMPREL, _DT_SYMTAB, _DT_STRTAB} <= tags.keys():
        return None  # sealed by the dynamic linker, or nothing is imported so
    first = tags[_DT_JMPREL]
    for entry in range(first, first + tags[_DT_PLTRELSZ], _RELOCATION):
        offset, info = (ctypes.c_uint64 * 2).from_address(entry)
        name = ctypes.c_uint32.from_address(tags[_DT_SYMTAB] + _SYMBOL * (info >> 32)).value
        if ctypes.string_at(tags[_DT_STRTAB] + name) == symbol:
            return _Address.from_address((loaded or 0) + offset)
    return None


def _tags(section: int) -> dict[int, int]:
    found: dict[int, int] = {}
    while (entry := (ctypes.c_uint64 * 2).from_address(section))[0] != _DT_NULL:
        found[entry[0]] = entry[1]
        section += _DYNAMIC
    return found
