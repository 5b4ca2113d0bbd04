"""The root directory: an empty, read-only memory file system without room for a single file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from ._libc import detach_mount, mount, syscall

if TYPE_CHECKING:
    from ._layers import Layers

_SYS_PIVOT_ROOT: Final = 155
_MS_RDONLY: Final = 1
_MS_NOSUID: Final = 2
_MS_NODEV: Final = 4
_MS_NOEXEC: Final = 8
_MS_REMOUNT: Final = 32
_MS_NOSYMFOLLOW: Final = 256
_MS_BIND: Final = 4096
_HARD: Final = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_NOSYMFOLLOW

_PLACE: Final = b"/proc"
"""Where the new root is mounted for a moment: the one directory that certainly exists."""
_OPTIONS: Final = b"size=4k,nr_inodes=1,mode=0555"
"""The one inode is the root directory itself. Readable, so that Landlock's refusal is a proof."""


def apply(layers: Layers) -> None:
    """Swap the root for an empty one and let go of the old. Needs the mount namespace."""
    if not layers.has("mount_namespace"):
        layers.without("root", "mount_namespace")
        return
    layers.attempt(
        "root", _swap, "let the interpreter mount in its own user namespace (AppArmor, SELinux)"
    )


def _swap() -> str:
    mount(_PLACE, _HARD, kind=b"tmpfs", options=_OPTIONS)
    os.chdir(_PLACE)
    # The same directory twice puts the old root on top of the new one: pivot_root(2), NOTES.
    syscall(_SYS_PIVOT_ROOT, b".", b".", what="pivot_root")
    detach_mount(b".")
    os.chdir("/")
    mount(b"/", _HARD | _MS_REMOUNT | _MS_BIND | _MS_RDONLY)
    _prove()
    return "empty, read-only, no inode to spare"


def _prove() -> None:
    facts = os.statvfs("/")
    if os.listdir("/") or not facts.f_flag & os.ST_RDONLY or facts.f_ffree:
        raise OSError(0, "the new root is not empty and read-only")
