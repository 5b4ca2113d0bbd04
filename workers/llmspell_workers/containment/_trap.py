"""The last words of a worker that is stopped at a forbidden system call: the handler of SIGSYS.

The worker's filter answers a forbidden call with SECCOMP_RET_TRAP: the kernel does not make the
call, and sends the thread a SIGSYS that nobody can block or ignore (seccomp(2)). The handler tells
the supervisor the call's number in one `Trap` frame, and then makes a call for which the filter
kills. So the exit status is what it would be without a handler, and nobody needs the kernel's log.

It is a page of machine code and no function of Python's or C's, because any thread may be stopped,
with any lock held. It does not return, uses a few bytes of the stack and nothing else.

That it exists gives an attacker nothing: no call is made that was not made before. A handler that
faults, a stack that is used up, a SIGSYS that was blocked: the kernel kills. The handler serves
once (SA_RESETHAND): a second forbidden call, by any thread, kills by itself. And the page is
sealed (mseal(2), kernel 6.10): nothing can be put into its place. Where it cannot be sealed, memory
that may be executed cannot come to its place either, unless a JIT is granted; then there is no
handler, and a forbidden call kills without a word.
"""

from __future__ import annotations

import ctypes
from typing import Final

from msgspec import Struct

from ._libc import handle_signal, syscall
from ._plan import OUT_FD

KILLER: Final = 0x4000_0000
"""The first number of x32, for which every filter of ours kills."""

_SIGSYS: Final = 31
_SYS_MMAP: Final = 9
_SYS_MPROTECT: Final = 10
_SYS_MSEAL: Final = 462
_READ_WRITE: Final = 0b011
_READ_EXECUTE: Final = 0b101
_PRIVATE_ANONYMOUS: Final = 0x22
_PAGE: Final = 4096

FRAME: Final = b"\x00\x00\x00\x0c" + b"\x93" + b"\xa4trap" + b"\xce\x00\x00\x00\x00" + b"\xc2"
"""`Trap(0, listed=False)`: the frame's length, an array of three, the tag, a number of 32 bits,
and false; true is the byte that follows false."""

CODE: Final[tuple[tuple[bytes, str, str], ...]] = (
    # rsi points to the siginfo_t of sigaction(2), rsp below the kernel's signal frame.
    (b"\x8b\x46\x18", "mov eax, [rsi+24]", "si_syscall, the call's number"),
    (b"\x0f\xc8", "bswap eax", "msgpack is big-endian"),
    (b"\x8b\x4e\x04", "mov ecx, [rsi+4]", "si_errno, the filter's 0 or 1: on the list?"),
    (b"\x81\xc1\xc2\0\0\0", "add ecx, 0xc2", "msgpack's false or true"),
    (b"\x48\x83\xec\x10", "sub rsp, 16", "room for the frame"),
    (b"\x48\xba" + FRAME[:8], "mov rdx, ...", "the frame's bytes 0 to 7"),
    (b"\x48\x89\x14\x24", "mov [rsp], rdx", ""),
    (b"\xc7\x44\x24\x08" + FRAME[8:12], "mov dword [rsp+8], ...", "bytes 8 to 11"),
    (b"\x89\x44\x24\x0b", "mov [rsp+11], eax", "bytes 11 to 14: the number"),
    (b"\x88\x4c\x24\x0f", "mov [rsp+15], cl", "byte 15: whether it is listed"),
    (b"\xbf" + OUT_FD.to_bytes(4, "little"), "mov edi, OUT_FD", ""),
    (b"\x48\x89\xe6", "mov rsi, rsp", ""),
    (b"\xba\x10\0\0\0", "mov edx, 16", "less than PIPE_BUF: whole or not at all (pipe(7))"),
    (b"\xb8\x01\0\0\0", "mov eax, 1", "write(2)"),
    (b"\x0f\x05", "syscall", "whatever it answers, there is no other way to say it"),
    (b"\xb8" + KILLER.to_bytes(4, "little"), "mov eax, KILLER", ""),
    (b"\x0f\x05", "syscall", "does not return"),
    (b"\x0f\x0b", "ud2", "SIGILL, if there should be no filter"),
)
"""Machine code, what it is in Intel's notation, and why."""

_REST: Final = b"\xcc"
"""int3, on the rest of the page: no instruction of any use."""


class TrapHandler(Struct, frozen=True):
    """Where the handler is. It stays there in every fork."""

    address: int
    sealed: bool
    """Nothing can be unmapped, moved, protected or mapped there again."""


def prepare_trap() -> TrapHandler | None:
    """Write the handler into a page of its own. Call it in the zygote, before the jail.

    None where the host lets no page that was written become executable (a security module, or
    memory-deny-write-execute); then forbidden calls kill all the same, and are not named.
    """
    try:
        address = syscall(_SYS_MMAP, 0, _PAGE, _READ_WRITE, _PRIVATE_ANONYMOUS, -1, 0)
        code = b"".join(instruction for instruction, _, _ in CODE)
        ctypes.memmove(address, code.ljust(_PAGE, _REST), _PAGE)
        syscall(_SYS_MPROTECT, address, _PAGE, _READ_EXECUTE)
    except OSError:
        return None
    return TrapHandler(address, _seal(address))


def _seal(address: int) -> bool:
    try:
        syscall(_SYS_MSEAL, address, _PAGE, 0)
    except OSError:
        return False
    return True


def install(handler: TrapHandler) -> None:
    """From here on SIGSYS runs the handler, once. Raises `OSError`."""
    handle_signal(_SIGSYS, handler.address)
