"""Commands run as an ordinary user, whoever runs the suite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.drop_to_user import UID

ROOT = Path(__file__).parents[2]
_HELPER = ROOT / "tests/support/drop_to_user.py"


@dataclass(frozen=True)
class OrdinaryUser:
    """Somebody without privileges, with a home of their own."""

    home: Path
    """Theirs to write; others may read it. The place for a test's files."""

    @property
    def uid(self) -> int:
        """Their user id."""
        return os.getuid() or UID

    def command(self, command: Sequence[str | Path], *, readable: Sequence[Path] = ()) -> list[str]:
        """The argument list that runs `command` as this user, for `subprocess`.

        The interpreter, its packages and the repository are readable to it, and `readable`.
        """
        plain = [str(part) for part in command]
        if os.getuid() != 0:
            return plain
        paths = [sys.base_prefix, sys.prefix, *sys.path, str(ROOT), str(self.home)]
        paths += [str(path) for path in readable]
        shown = ":".join(dict.fromkeys(os.path.realpath(p) for p in paths if p))
        # What a virtual environment's interpreter points to may itself be a link.
        shown += ":" + ":".join(dict.fromkeys(p for p in paths if p))
        return [sys.executable, "-I", "-S", str(_HELPER), shown, "--", *plain]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """A small environment of their own: nothing of the suite's leaks in."""
        inherited = {k: os.environ[k] for k in ("PATH", "LANG", "LC_ALL") if k in os.environ}
        return {**inherited, "HOME": str(self.home), "TMPDIR": str(self.home), **(extra or {})}

    def run(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 50,
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end, in their home, and return text output; seconds before it is killed."""
        return subprocess.run(
            self.command(command),
            env=self.environment(env),
            cwd=self.home,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )

    def give(self, path: Path) -> Path:
        """Make a file or folder theirs."""
        if os.getuid() == 0:
            shutil.chown(path, self.uid, self.uid)
        return path
