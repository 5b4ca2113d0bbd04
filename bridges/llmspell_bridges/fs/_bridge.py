"""The bridge `fs`: granted directories, by descriptor, within quotas."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from .._content import Content, octets
from .._context import CallContext
from .._errors import BridgeError
from .._interface import Bridge, BridgeConfig, method
from ._config import FsConfig
from ._types import Entry, Granted, ReadOptions, Stat, WriteOptions

if TYPE_CHECKING:
    from ._quota import Quota
    from ._roots import Access, Place, Roots
    from ._work import Fence, Workshop

T = TypeVar("T")
Entries = list[Entry]  # in the class, `list` is a method
Paths = list[str]

_WHOLE: Final = ReadOptions()
_REPLACE: Final = WriteOptions()


class FsBridge(Bridge):
    """Files under the directories that the policy grants.

    A path is absolute, or relative to the only directory that is granted for what is done.
    """

    name: ClassVar[str] = "fs"
    config: ClassVar[type[BridgeConfig]] = FsConfig

    def __init__(self, config: FsConfig) -> None:
        self._config = config
        self._workshop: Workshop | None = None

    async def close(self) -> None:
        """Begin no more work."""
        if self._workshop is not None:
            self._workshop.close()

    @method(effect="read")
    async def read(self, ctx: CallContext, path: str, options: ReadOptions = _WHOLE) -> str | bytes:
        """A file's content, or a part of it: UTF-8 text, unless bytes are asked for."""
        from . import _files

        limit = ctx.policy.max_response

        def work(place: Place, _: Fence) -> str | bytes:
            return _files.read(place, options.encoding, options.offset, options.length, limit)

        return await self._at(ctx, path, "read", work)

    @method(effect="write")
    async def write(
        self, ctx: CallContext, path: str, data: Content, options: WriteOptions = _REPLACE
    ) -> int:
        """Put text (as UTF-8) or bytes into a file, all of it or nothing; gives the bytes written."""
        from . import _files

        content = octets(data, "data")
        quota = _quota(ctx, self._config)

        def work(place: Place, fence: Fence) -> None:
            _files.write(place, content, quota, fence, overwrite=options.overwrite)

        await self._at(ctx, path, "write", work)
        return len(content)

    @method(effect="write")
    async def append(self, ctx: CallContext, path: str, data: Content) -> int:
        """Put text or bytes at the end of a file, new or old; gives the bytes written."""
        from . import _files

        content = octets(data, "data")
        quota = _quota(ctx, self._config)

        def work(place: Place, fence: Fence) -> None:
            _files.append(place, content, quota, fence)

        await self._at(ctx, path, "write", work)
        return len(content)

    @method(effect="read")
    async def list(self, ctx: CallContext, path: str = ".") -> Entries:
        """What is in a directory, sorted by name."""
        from . import _files

        quota = _quota(ctx, self._config)
        return await self._at(
            ctx, path, "read", lambda place, fence: _files.listing(place, quota, fence)
        )

    @method(effect="read")
    async def stat(self, ctx: CallContext, path: str) -> Stat | None:
        """What a path names: its kind, size and time of change; null if there is nothing."""
        from . import _files

        return await self._at(ctx, path, "read", lambda place, _: _files.status(place))

    @method(effect="read")
    async def glob(self, ctx: CallContext, pattern: str) -> Paths:
        """Paths that match a pattern, sorted: * and ? within a name, ** for any directories.

        Hidden names match only what begins with a dot; links are not followed.
        """
        from . import _glob

        base, names = _glob.split(pattern)
        quota = _quota(ctx, self._config)
        return await self._at(
            ctx, base, "read", lambda place, fence: _glob.glob(place, base, names, quota, fence)
        )

    @method(effect="write")
    async def mkdir(self, ctx: CallContext, path: str) -> None:
        """Create a directory, and those above it; one that is there already is fine."""
        from . import _files

        quota = _quota(ctx, self._config)
        await self._at(
            ctx, path, "write", lambda place, fence: _files.make_directory(place, quota, fence)
        )

    @method(effect="write")
    async def remove(self, ctx: CallContext, path: str) -> None:
        """Remove a file or an empty directory."""
        from . import _files

        await self._at(ctx, path, "write", _files.remove)

    @method(effect="read")
    async def roots(self, ctx: CallContext) -> Granted:
        """The directories that this spell may read and write, as absolute paths."""

        def work(roots: Roots, _: Fence) -> Granted:
            return Granted(
                read=[root.path for root in roots.granted("read")],
                write=[root.path for root in roots.granted("write")],
            )

        for path in ctx.policy.allow_read:
            ctx.touch(read=path)
        for path in ctx.policy.allow_write:
            ctx.touch(write=path)
        return await self._do(ctx, work)

    async def _at(
        self, ctx: CallContext, path: str, access: Access, work: Callable[[Place, Fence], T]
    ) -> T:
        """Do something in a thread with what a path names."""
        from ._errors import explained
        from ._names import refuse_code

        needed: list[str] = []

        def there(roots: Roots, fence: Fence) -> T:
            place = roots.locate(path, access)
            needed.append(place.needed())
            if access == "write":
                refuse_code(place.root.path, place.parts, self._config.allow_names)
            with explained(place.shown):
                return work(place, fence)

        ctx.touch(path=path)
        try:
            return await self._do(ctx, there)
        finally:
            for folder in needed:
                ctx.touch(**{access: folder})

    async def _do(self, ctx: CallContext, work: Callable[[Roots, Fence], T]) -> T:
        from ._roots import Roots
        from ._work import Abandoned, Workshop

        if self._workshop is None:
            self._workshop = Workshop()
        roots = ctx.state("fs.roots", lambda: Roots(ctx.policy))
        try:
            return await self._workshop.do(lambda fence: work(roots, fence))
        except Abandoned:
            raise BridgeError("Internal", "fs: the run is over") from None


def _quota(ctx: CallContext, config: FsConfig) -> Quota:
    from ._quota import Quota

    return ctx.state("fs.quota", lambda: Quota(config))
