"""Run attack scripts in `import pythonmonkey` as it is. Standard input and output: JSON.

What a script is used to find is there too: host functions are Python functions.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

# What npm would have fetched, in our own few lines: a test needs no second package manager.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "modules"))

import pythonmonkey

_WORLD = """(function (params, models, encode, decode) {
  const ask = async (value) => models(typeof value);
  const llm = { models: ask, stream: ask, complete: ask };
  const json = { encode: (value) => encode(typeof value), decode, host: encode }, math = {};
  const util = { hash: () => models(""), sleep: (ms) => new Promise((go) => setTimeout(go, ms)) };
  const env = {}, console = { log() {} };
  return async function () { "use strict";
%s
  };
})"""


def _models(*_arguments: Any) -> dict[str, Any]:
    return {"models": []}


async def gains_of(source: str, targets: dict[str, Any]) -> list[str]:
    """What the script says it gained."""
    world = pythonmonkey.eval(_WORLD % source)
    script = world(targets, _models, lambda value: json.dumps(str(value)), json.loads)
    return [str(gain) for gain in await script()]


async def _all(task: dict[str, Any]) -> dict[str, list[str]]:
    return {key: await gains_of(source, task["targets"]) for key, source in task["sources"].items()}


def main() -> None:
    """Read sources by key and the targets; write gains by key."""
    json.dump(asyncio.run(_all(json.load(sys.stdin))), sys.stdout)


if __name__ == "__main__":
    main()
