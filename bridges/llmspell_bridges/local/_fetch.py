"""Fetch one pinned wheel with the user's own package client: pip if it is there, else uv.

The client brings the index, proxy and certificates that the user has set up for it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

FETCH_TIMEOUT: Final = 1800
"""Seconds for one wheel: 94 MB at 50 KB/s, which is the slowest line that is worth waiting on."""

MAX_REASON: Final = 300
"""Characters of a client's own words: one line, whatever it printed."""

UNREACHABLE: Final = (
    "name resolution",
    "Name or service not known",
    "Connection refused",
    "Network is unreachable",
    "timed out",
    "dns error",
    "ConnectTimeout",
    "ProxyError",
    "No route to host",
)
"""What pip and uv print when the index cannot be reached, as against having no such package."""


class FetchError(Exception):
    """The wheel could not be had, or is not the one that was pinned. `hint` is the remedy."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def fetch(package: str, version: str, sha256: str, scratch: Path) -> Path:
    """Fetch the wheel of `package` at `version`, without its dependencies, and check its hash.

    Returns the wheel (pip), or the directory that it was unpacked to (uv), below `scratch`.
    Raises FetchError.
    """
    into = scratch / "fetched"
    wanted = f"{package}=={version}"
    if importlib.util.find_spec("pip") is not None:
        _run([sys.executable, "-P", "-m", "pip", *_pip(into), wanted], wanted, scratch)
        return _checked_wheel(into, wanted, sha256)
    if (uv := _uv()) is not None:
        requirements = scratch / "requirements.txt"
        requirements.write_text(f"{wanted} --hash=sha256:{sha256}\n")
        _run([uv, *_uv_arguments(into, requirements)], wanted, scratch)
        return into
    raise FetchError("neither pip nor uv is there to fetch the model", "run `python -m ensurepip`")


def _pip(into: Path) -> list[str]:
    return [
        *("download", "--no-deps", "--only-binary", ":all:", "--dest", str(into)),
        *("--no-cache-dir", "--no-input", "--disable-pip-version-check", "--quiet"),
        *("--retries", "1"),  # its default waits for half a minute before it says "offline"
    ]


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")


def _uv_arguments(into: Path, requirements: Path) -> list[str]:
    return [
        *("pip", "install", "--python", sys.executable, "--target", str(into), "--no-deps"),
        *("--only-binary", ":all:", "--no-cache", "--quiet", "--require-hashes"),
        *("-r", str(requirements)),
    ]


def _run(command: list[str], wanted: str, scratch: Path) -> None:
    hint = "check the network or the package index, then run `llmspell-supervisor model install`"
    try:
        done = subprocess.run(  # noqa: S603  fixed arguments, the user's own client
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=FETCH_TIMEOUT,
            cwd=scratch,
            env={"UV_HTTP_RETRIES": "1", **os.environ},  # as for pip
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"fetching {wanted} took over {FETCH_TIMEOUT} s", hint) from None
    if done.returncode != 0:
        raise FetchError(f"cannot fetch {wanted}: {_reason(done.stderr)}", hint)


def _reason(output: str) -> str:
    if any(sign in output for sign in UNREACHABLE):
        return "the package index cannot be reached"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("cause:")]  # uv: the last is the root
    errors = [line for line in lines if line.lower().startswith("error")]
    best = (causes or errors or lines or ["the client gave no reason"])[-1]
    return best.removeprefix("cause: ").removeprefix("ERROR: ")[:MAX_REASON]


def _checked_wheel(into: Path, wanted: str, sha256: str) -> Path:
    wheels = list(into.glob("*.whl"))
    if len(wheels) != 1:
        raise FetchError(f"pip fetched no wheel for {wanted}", "check the package index")
    with wheels[0].open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != sha256:
        raise FetchError(
            f"the wheel of {wanted} has the hash {digest[:12]}…, expected {sha256[:12]}…; "
            "nothing was installed",
            "check which package index your pip uses",
        )
    return wheels[0]
