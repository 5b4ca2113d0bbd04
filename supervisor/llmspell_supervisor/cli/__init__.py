"""The command `llmspell-supervisor`.

`main` imports next to nothing: it checks the system, has the zygote of the spell's engine started,
and only then imports what the command needs, while the zygote boots on another core.
Read `_parser` (all flags), `_main` (dispatch and the guard around everything), then a module per
command: `_run`, `_validate`, `_info`, `_doctor`, `_init`, `_model`, `_completion`.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as in `_launch`
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

# As in `_spell` and `_verdict`, which are not imported before the zygote boots.
_ENGINES = {".lua": "lua", ".js": "javascript", ".mjs": "javascript"}
_EXIT_USAGE = 2
_EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns its exit code; `--help` and `--version` raise `SystemExit`."""
    if sys.platform != "linux":
        sys.stderr.write(f"llmspell-supervisor needs Linux; this is {sys.platform}\n")
        return _EXIT_USAGE
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        _prestart(arguments)
        from .._lean import lean_imports

        with lean_imports():
            from ._main import guarded
    except KeyboardInterrupt:  # so early that the guard is not there yet
        return _EXIT_INTERRUPTED
    return guarded(arguments)


def _prestart(arguments: list[str]) -> None:
    """Boot the zygote that the arguments plainly ask for. A wrong guess costs one idle process."""
    if not arguments or arguments[0] not in ("run", "validate") or "--help" in arguments:
        return
    suffixes = {argument[argument.rfind(".") :] for argument in arguments if "." in argument}
    engines = {_ENGINES[suffix] for suffix in suffixes if suffix in _ENGINES}
    if len(engines) == 1:
        from .._launch import prestart

        try:  # noqa: SIM105 - contextlib is another thing to import before the zygote
            prestart(engines.pop(), strict="degraded" not in arguments)
        except OSError:  # the run itself starts it then, and explains the failure
            pass
