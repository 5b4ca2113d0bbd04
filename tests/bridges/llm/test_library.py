"""litellm comes late, quietly, and at nobody's expense."""

from __future__ import annotations

import subprocess
import sys

LIGHT = """
import sys, llmspell_bridges
registry = llmspell_bridges.BridgeRegistry([llmspell_bridges.load("llm")])
assert registry.manifest(["llm"])["llm"]["stream"] == "stream"
heavy = {"litellm", "openai", "httpx", "tenacity", "pydantic"} & set(sys.modules)
assert not heavy, heavy
"""

HINT = """
import asyncio, llmspell_bridges

async def main():
    async with llmspell_bridges.BridgeRegistry([llmspell_bridges.load("llm")]) as registry:
        registry.prefetch(["llm"])

asyncio.run(main())
"""

QUIET = """
import asyncio, os, sys
from llmspell_bridges.llm import _library
os.environ["LITELLM_LOG"] = "DEBUG"
module = asyncio.run(_library.litellm())
assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
assert module.suppress_debug_info
"""


def run(program: str) -> str:
    """Run a program in an interpreter of its own; what it printed, both ways."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
    )
    return done.stdout


def test_the_bridge_is_declared_without_importing_what_it_works_with() -> None:
    assert run(LIGHT) == ""


def test_a_run_that_calls_no_model_does_not_wait_for_the_import() -> None:
    assert run(HINT) == ""


def test_the_import_prints_nothing_and_fetches_nothing() -> None:
    assert run(QUIET) == ""
