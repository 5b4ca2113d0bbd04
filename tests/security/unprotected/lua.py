"""Run attack scripts in `lupa.lua54.LuaRuntime()` as it is. Standard input and output: JSON.

What a script is used to find is there too, the way a host without our prelude would pass it in:
as Python functions.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from lupa import lua54  # type: ignore[import-untyped]


def gains_of(source: str, targets: dict[str, Any]) -> list[str]:
    """What the script says it gained. Each has a runtime of its own, as in the worker."""
    runtime = lua54.LuaRuntime()
    table = runtime.table_from
    host = {
        "params": table(targets),
        "llm": table({"models": lambda *_: table({})}),
        "json": table(
            {
                "encode": lambda value: json.dumps(str(value)),
                "decode": lambda text: table(json.loads(text), recursive=True),
            }
        ),
        "console": table({"log": lambda *_: None}),
        "util": table({"uuid": lambda: "", "hash": hash, "base64_decode": int}),
        "env": table({}),
        "getattr": getattr,
    }
    for name, value in host.items():
        runtime.globals()[name] = value
    return [str(gain) for gain in runtime.execute(source).values()]


def main() -> None:
    """Read sources by key and the targets; write gains by key."""
    task = json.load(sys.stdin)
    gains = {key: gains_of(source, task["targets"]) for key, source in task["sources"].items()}
    json.dump(gains, sys.stdout)


if __name__ == "__main__":
    main()
