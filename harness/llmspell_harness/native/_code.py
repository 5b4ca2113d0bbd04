"""Machine code, for what C and Python cannot say.

It is written before any wall stands: no layer promises that a worker holds none of an attacker's.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_READ_EXECUTE: Final = 0b101
_ALIGN: Final = 64

_CODES: Final = {
    # mov eax, 20 (getpid of i386); int 0x80; ret
    "int80": b"\xb8\x14\0\0\0\xcd\x80\xc3",
    # mov eax, 58 (vfork); syscall; test eax, eax; jz +1; ret; xor edi, edi; mov eax, 60; syscall
    "vfork": b"\xb8\x3a\0\0\0\x0f\x05\x85\xc0\x74\x01\xc3\x31\xff\xb8\x3c\0\0\0\x0f\x05",
    # the same, but the new process waits: mov eax, 34 (pause); syscall; jmp -9
    "vfork and wait": b"\xb8\x3a\0\0\0\x0f\x05\x85\xc0\x74\x01\xc3\xb8\x22\0\0\0\x0f\x05\xeb\xf7",
    # mov eax, 11 (munmap, of what the caller says); syscall; then wait as above
    "shrink and wait": b"\xb8\x0b\0\0\0\x0f\x05\xb8\x22\0\0\0\x0f\x05\xeb\xf7",
}


def _write() -> dict[str, int]:
    """Each piece's address; none where the host lets nothing written become executable."""
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        return {}
    places: dict[str, int] = {}
    start = ctypes.addressof(ctypes.c_char.from_buffer(page))
    for index, (name, code) in enumerate(_CODES.items()):
        page[index * _ALIGN : index * _ALIGN + len(code)] = code
        places[name] = start + index * _ALIGN
    if _LIBC.mprotect(ctypes.c_void_p(start), mmap.PAGESIZE, _READ_EXECUTE):
        return {}
    _pages.append(page)  # or it would be unmapped
    return places


_pages: list[mmap.mmap] = []
_PLACES: Final = _write()


def run(name: str, *arguments: int) -> int:
    """Jump there; what it leaves in rax. Raises `KeyError` where the host did not let it be."""
    kinds = [ctypes.c_uint64] * len(arguments)
    return int(ctypes.CFUNCTYPE(ctypes.c_int64, *kinds)(_PLACES[name])(*arguments))
