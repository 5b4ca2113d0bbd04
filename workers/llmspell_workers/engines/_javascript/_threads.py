"""SpiderMonkey in one thread.

Helper threads collect garbage and compile beside a script. Without a JIT they make no spell quicker that
was measured; without them a warm run takes a tenth less, and native code finds one thread. What
SpiderMonkey's shell calls `--no-threads` is a variable that its library does not export, but names in
its table of symbols. A build without such a table keeps its threads; the walls hold those as well.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from typing import Final

_VARIABLE: Final = b"_ZN2js19gCanUseExtraThreadsE"
"""std::atomic<bool> js::gCanUseExtraThreads, read at the engine's initialisation and by each task."""

# Of <elf.h>.
_IDENT: Final = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_SECTIONS_AT: Final = 40
_SECTIONS: Final = 60
_SYMTAB: Final = 2
_OBJECT: Final = 1
_section: Final = struct.Struct("<IIQQQQIIQQ")
_symbol: Final = struct.Struct("<IBBHQQ")

_Address = ctypes.c_void_p


def extra_threads(library: ctypes.CDLL, path: str) -> ctypes.c_bool | None:
    """The variable of the loaded `library`, whose file is `path`; None where it cannot be found."""
    offset = _offset(path)
    loaded = _Address.from_address(library._handle).value  # the first field of struct link_map
    if offset is None or loaded is None:
        return None
    return ctypes.c_bool.from_address(loaded + offset)


def _offset(path: str) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as file:
                return _find(file)
        finally:
            os.close(fd)
    except (OSError, ValueError, struct.error):  # not there, empty, cut off
        return None


def _find(file: mmap.mmap) -> int | None:
    if file[: len(_IDENT)] != _IDENT:
        return None
    (first,) = struct.unpack_from("<Q", file, _SECTIONS_AT)
    (count,) = struct.unpack_from("<H", file, _SECTIONS)
    sections = [_section.unpack_from(file, first + _section.size * i) for i in range(count)]
    for _, kind, _, _, start, size, link, *_ in sections:
        if kind == _SYMTAB and link < count:
            names, length = sections[link][4:6]
            name = file.find(b"\0%b\0" % _VARIABLE, names, names + length) + 1 - names
            if name > 0:
                return _value(file, name, start, start + size)
    return None


def _value(file: mmap.mmap, name: int, start: int, end: int) -> int | None:
    """What the symbol of that name is, if it is a variable of one byte."""
    wanted = struct.pack("<I", name)
    at = file.find(wanted, start, end)
    while at >= 0:
        if (at - start) % _symbol.size == 0:
            _, info, _, _, value, size = _symbol.unpack_from(file, at)
            return int(value) if (info & 0xF, size) == (_OBJECT, 1) else None
        at = file.find(wanted, at + 1, end)
    return None
