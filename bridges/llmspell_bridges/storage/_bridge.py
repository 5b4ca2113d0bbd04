"""The bridge `storage`: names and limits; obstore does the rest."""

from __future__ import annotations

import asyncio
import difflib
from datetime import UTC
from typing import TYPE_CHECKING, Any, ClassVar, Final

from .._context import CallContext
from .._errors import BridgeError
from .._extras import imported
from .._interface import Bridge, BridgeConfig, method
from . import _local
from ._config import LOCAL, ObjectStoreConfig, StorageConfig
from ._store import bounded, check_path, explained, open_store
from ._types import Kind, PutOptions, StoredObject

if TYPE_CHECKING:
    from obstore.store import ObjectStore

PAGE: Final = 100
"""Objects that a service is asked for at a time."""

AS_USUAL: Final = PutOptions()


class StorageBridge(Bridge):
    """Objects in stores that the config names: S3, Google's, Azure's, or a local directory."""

    name: ClassVar[str] = "storage"
    config: ClassVar[type[BridgeConfig]] = StorageConfig

    def __init__(self, config: StorageConfig) -> None:
        self._config = config
        self._stores: dict[str, ObjectStore] = {}

    @method(effect="read")
    async def get(self, ctx: CallContext, store: str, path: str, kind: Kind = "bytes") -> Any:
        """The content of an object, as bytes or as text."""
        config, opened = await self._open(ctx, store, path)
        import obstore

        with explained(store, path):
            found = await obstore.get_async(opened, path)
            if found.meta["size"] > config.max_object:
                message = f"{store}: {path} is larger than {config.max_object} bytes (max_object)"
                raise BridgeError("Limit", message)
            data = await bounded(store, aiter(found.stream()), config.max_object)
        if kind == "bytes":
            return data
        try:
            return data.decode()
        except UnicodeDecodeError:
            message = f"{store}: {path} is not UTF-8; read it as bytes"
            raise BridgeError("Validation", message, field="kind") from None

    @method(effect="write")
    async def put(
        self, ctx: CallContext, store: str, path: str, data: Any, options: PutOptions = AS_USUAL
    ) -> StoredObject:
        """Write an object, whole: text, or bytes."""
        if not isinstance(data, (str, bytes)):
            raise BridgeError("Validation", "data: expected string or bytes", field="data")
        content = data.encode() if isinstance(data, str) else data
        config, opened = await self._open(ctx, store, path, write=True)
        if len(content) > config.max_object:
            message = f"data: {len(content)} bytes; the limit is {config.max_object} (max_object)"
            raise BridgeError("Limit", message, field="data")
        import obstore

        with explained(store, path):
            mode = "overwrite" if options.overwrite else "create"
            await obstore.put_async(opened, path, content, mode=mode)  # type: ignore[arg-type]
            return _stored(await obstore.head_async(opened, path))

    @method(effect="read")
    async def list(
        self, ctx: CallContext, store: str, prefix: str = "", limit: int = PAGE
    ) -> list[StoredObject]:
        """Objects below a path, sorted by theirs; the whole store, without one."""
        config, opened = await self._open(ctx, store, prefix or None)
        if not 1 <= limit <= config.max_list:
            message = f"limit: 1 to {config.max_list} (max_list)"
            raise BridgeError("Validation", message, field="limit")
        import obstore

        with explained(store, prefix):
            if config.url.startswith(LOCAL):
                root, most = _local.root_of(config.url), config.max_list
                paths = await asyncio.to_thread(_local.listing, root, prefix, most)
                _check_count(store, len(paths), config)
                return [_stored(await obstore.head_async(opened, path)) for path in paths[:limit]]
            found: list[StoredObject] = []
            async for page in obstore.list(opened, prefix or None, chunk_size=PAGE):
                found += map(_stored, page)
                _check_count(store, len(found), config)
        return sorted(found, key=lambda stored: stored.path)[:limit]

    @method(effect="read")
    async def head(self, ctx: CallContext, store: str, path: str) -> StoredObject:
        """What is known of an object without reading it."""
        _, opened = await self._open(ctx, store, path)
        import obstore

        with explained(store, path):
            return _stored(await obstore.head_async(opened, path))

    @method(effect="write")
    async def delete(self, ctx: CallContext, store: str, path: str) -> bool:
        """Remove an object; whether there was one."""
        _, opened = await self._open(ctx, store, path, write=True)
        import obstore

        with explained(store, path):
            try:
                await obstore.head_async(opened, path)
                await obstore.delete_async(opened, path)
            except FileNotFoundError:
                return False
        return True

    async def _open(
        self, ctx: CallContext, store: str, path: str | None, *, write: bool = False
    ) -> tuple[ObjectStoreConfig, ObjectStore]:
        """The store, if it is there and `path` is fit for it."""
        ctx.note(store=store, path=path)
        config = self._named(store)
        if path is not None:
            check_path(path)
        if write and config.mode != "write":
            raise BridgeError("Policy", f"{store} is read-only for spells", field="store")
        await imported("data", "obstore")
        if path is not None and config.url.startswith(LOCAL):
            await asyncio.to_thread(_local.check, _local.root_of(config.url), path)
        if store not in self._stores:
            self._stores[store] = open_store(store, config, ctx.policy)
        return config, self._stores[store]

    def _named(self, store: str) -> ObjectStoreConfig:
        known = self._config.stores
        if store in known:
            return known[store]
        near = difflib.get_close_matches(store, known, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        message = f"store: the config names no store '{store}'{hint}"
        raise BridgeError("Configuration", message, field="store")


def _check_count(store: str, count: int, config: ObjectStoreConfig) -> None:
    if count > config.max_list:
        message = f"{store}: more than {config.max_list} objects (max_list)"
        raise BridgeError("Limit", f"{message}; list below a longer prefix")


def _stored(meta: Any) -> StoredObject:
    modified = meta["last_modified"].astimezone(UTC).isoformat(timespec="seconds")
    return StoredObject(
        path=meta["path"],
        size=meta["size"],
        modified=modified.replace("+00:00", "Z"),
        etag=meta["e_tag"],
    )
