"""litellm comes late, quietly, and at nobody's expense."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

LIGHT = """
import sys, llmspell_bridges
registry = llmspell_bridges.BridgeRegistry([llmspell_bridges.load("llm")])
assert registry.manifest(["llm"])["llm"]["stream"].kind == "stream"
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

WHOLE = """
from tests.bridges.host import llm_host
from llmspell_testkit.model_server import ModelServer, Refusal

with ModelServer() as server:
    for _ in range(2):
        host = llm_host(server)
        server.script("m", Refusal(500))
        request = {"model": "test/m", "prompt": "x", "retries": {"base_delay": 0}}
        host.run(lambda: host.call("llm.complete", request))
        host = llm_host(server)
        host.run(lambda: host.drain("llm.stream", request))
        host = llm_host(server)
        host.run(lambda: host.call("llm.embed", {"model": "test/m", "input": "x"}))
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
        cwd=ROOT,
    )
    return done.stdout


def test_the_bridge_is_declared_without_importing_what_it_works_with() -> None:
    assert run(LIGHT) == ""


def test_a_run_that_calls_no_model_does_not_wait_for_the_import() -> None:
    assert run(HINT) == ""


@pytest.mark.slow
def test_the_import_prints_nothing_and_fetches_nothing() -> None:
    assert run(QUIET) == ""


@pytest.mark.slow
def test_a_process_that_used_models_ends_without_a_word() -> None:
    assert run(WHOLE) == ""
