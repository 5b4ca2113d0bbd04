"""Tiny programs for attacks that would run one: no loader, no library, no file but themselves."""

from __future__ import annotations

import struct
from typing import Final

_BASE: Final = 0x40_0000
_HEADERS: Final = 64 + 56
_X86_64: Final = 62
_READ_EXECUTE: Final = 5

_MAKE_FOLDER: Final = (
    # mov rax, [rsp]; mov rdi, [rsp+8*rax]: the last argument
    b"\x48\x8b\x04\x24\x48\x8b\x3c\xc4"
    # mov esi, 0777; mov eax, 83 (mkdir); syscall
    b"\xbe\xff\x01\0\0\xb8\x53\0\0\0\x0f\x05"
)
_EXIT: Final = b"\x31\xff\xb8\x3c\0\0\0\x0f\x05"  # xor edi, edi; mov eax, 60; syscall


def folder_maker() -> bytes:
    """A program that makes the folder that its last argument names."""
    return _elf(_MAKE_FOLDER + _EXIT)


def writer(fd: int, data: bytes) -> bytes:
    """A program that writes `data` to a descriptor."""
    length = 22 + len(_EXIT)
    code = b"\xbf" + struct.pack("<I", fd)  # mov edi, fd
    code += b"\xbe" + struct.pack("<I", _BASE + _HEADERS + length)  # mov esi, data
    code += b"\xba" + struct.pack("<I", len(data))  # mov edx, length
    code += b"\xb8\x01\0\0\0\x0f\x05"  # mov eax, 1 (write); syscall
    return _elf(code + _EXIT + data)


def _elf(code: bytes) -> bytes:
    """An executable of one segment (elf(5))."""
    size = _HEADERS + len(code)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, _X86_64, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1,
                        64, 0, 0)  # fmt: skip
    head += struct.pack("<IIQQQQQQ", 1, _READ_EXECUTE, 0, _BASE, _BASE, size, size, 0x1000)
    return head + code
