"""The local model, started, asked, killed and closed: a real model in a real process."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges.local import Endpoint, LocalConfig, LocalModel
from tests.support.users import OrdinaryUser

MIB = 1024 * 1024

Script = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.local_model


def use(model: Path, act: Callable[[LocalModel], Awaitable[None]], **config: object) -> None:
    """Run `act` with a local model from the cache that `model` lies in."""

    async def main() -> None:
        settings = LocalConfig(**config)  # type: ignore[arg-type]
        async with LocalModel(settings, root=model.parent) as local:
            await act(local)

    asyncio.run(main())


def client(endpoint: Endpoint) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {endpoint.api_key}", **endpoint.headers}
    return httpx.AsyncClient(base_url=endpoint.base_url, headers=headers, timeout=30)


def chat(endpoint: Endpoint, text: str, **options: object) -> dict[str, object]:
    messages = [{"role": "user", "content": text}]
    return {"model": endpoint.model, "messages": messages, "max_tokens": 12, **options}


async def answer(local: LocalModel, **options: object) -> str:
    endpoint = await local.endpoint()
    async with client(endpoint) as http:
        body = chat(endpoint, "What is the capital of France?", **options)
        reply = (await http.post("/chat/completions", json=body)).raise_for_status()
    text: str = reply.json()["choices"][0]["message"]["content"]
    return text


async def kill(local: LocalModel) -> None:
    """Kill the model's process and wait until the manager's loop has seen it die."""
    (pid,) = local.pids
    os.kill(pid, signal.SIGKILL)
    while local.pids:  # noqa: ASYNC110  see below
        await asyncio.sleep(0)  # lets the loop hear of the exit; it has no event to wait on


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# --- answers ----------------------------------------------------------------------------------


def test_the_model_answers_a_question(model: Path) -> None:
    async def act(local: LocalModel) -> None:
        assert await local.healthy() is False  # asks; does not start it
        assert (await answer(local)).strip()
        assert await local.healthy()

    use(model, act)


def test_the_model_streams_its_answer_in_pieces(model: Path) -> None:
    async def act(local: LocalModel) -> None:
        endpoint = await local.endpoint()
        body = chat(endpoint, "Tell me a long story about a cat.", stream=True)
        async with (
            client(endpoint) as http,
            http.stream("POST", "/chat/completions", json=body) as reply,
        ):
            events = [line[6:] async for line in reply.aiter_lines() if line.startswith("data: ")]
        assert events.pop() == "[DONE]"
        choices = [json.loads(event)["choices"] for event in events]
        deltas = [c[0]["delta"].get("content") for c in choices if c]
        assert len([d for d in deltas if d]) > 3

    use(model, act)


def test_requests_that_follow_a_stream_find_the_server(model: Path) -> None:
    async def act(local: LocalModel) -> None:
        endpoint = await local.endpoint()
        async with client(endpoint) as http:
            for _ in range(5):  # without `Endpoint.headers` about every second one fails
                body = chat(endpoint, "Hi", stream=True, max_tokens=2)
                async with http.stream("POST", "/chat/completions", json=body) as reply:
                    await reply.aread()
                body = chat(endpoint, "Hi", max_tokens=2)
                (await http.post("/chat/completions", json=body)).raise_for_status()

    use(model, act)


def test_an_answer_fits_the_json_schema_that_was_asked_for(model: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "large": {"type": "boolean"}},
        "required": ["city", "large"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}

    async def act(local: LocalModel) -> None:
        value = json.loads(await answer(local, response_format=wanted, max_tokens=200))
        assert set(value) == {"city", "large"}
        assert isinstance(value["city"], str)
        assert isinstance(value["large"], bool)

    use(model, act)


def test_embeddings_of_like_sentences_are_closer_than_of_unlike_ones(model: Path) -> None:
    texts = ["a cat sat on the mat", "the kitten lies on the rug", "quarterly revenue grew"]

    async def act(local: LocalModel) -> None:
        endpoint = await local.endpoint()
        async with client(endpoint) as http:
            reply = await http.post("/embeddings", json={"model": endpoint.model, "input": texts})
        cat, kitten, revenue = (entry["embedding"] for entry in reply.json()["data"])
        assert dot(cat, kitten) > dot(cat, revenue)

    use(model, act)


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_a_call_without_the_key_is_refused(model: Path) -> None:
    async def act(local: LocalModel) -> None:
        endpoint = await local.endpoint()
        async with httpx.AsyncClient(base_url=endpoint.base_url) as http:
            body = chat(endpoint, "Hi")
            assert (await http.post("/chat/completions", json=body)).status_code == 401
        assert endpoint.api_key not in repr(endpoint)

    use(model, act)


def test_a_file_of_the_users_own_answers_as_local(model: Path, tmp_path: Path) -> None:
    async def act(local: LocalModel) -> None:
        endpoint = await local.endpoint("local")
        assert endpoint.model == "local"
        assert (await answer(local)).strip()
        assert len(local.pids) == 1

    mine = tmp_path / "my model.gguf"
    mine.symlink_to(model)
    use(tmp_path, act, path=str(mine))


def test_a_model_that_gave_back_its_memory_answers_again(model: Path) -> None:
    async def act(local: LocalModel) -> None:
        await answer(local)
        loaded = resident(local)
        await until(lambda: resident(local) < loaded - 50 * MIB)
        assert (await answer(local)).strip()
        assert resident(local) > loaded - 50 * MIB

    use(model, act, idle=1)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  see below
            await asyncio.sleep(0.05)  # polls the kernel: nothing announces freed memory


def resident(local: LocalModel) -> int:
    (pid,) = local.pids
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- life and death ---------------------------------------------------------------------------


def test_ten_first_calls_at_once_start_one_process(model: Path) -> None:
    async def act(local: LocalModel) -> None:
        endpoints = await asyncio.gather(*(local.endpoint() for _ in range(10)))
        assert len({(e.base_url, e.api_key) for e in endpoints}) == 1
        assert len(local.pids) == 1

    use(model, act)


def test_a_cancelled_first_call_leaves_no_process_and_the_next_one_works(model: Path) -> None:
    async def act(local: LocalModel) -> None:
        first = asyncio.create_task(local.endpoint())
        await asyncio.sleep(0)  # lets it take the lock
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert local.pids == ()
        assert (await answer(local)).strip()

    use(model, act)


def test_a_killed_model_is_started_again(model: Path) -> None:
    async def act(local: LocalModel) -> None:
        first = await local.endpoint()
        await kill(local)
        second = await local.endpoint()
        assert second.api_key != first.api_key
        assert (await answer(local)).strip()

    use(model, act)


def test_a_model_that_keeps_dying_is_given_up(model: Path) -> None:
    async def act(local: LocalModel) -> None:
        for _ in range(3):
            await local.endpoint()
            await kill(local)
        for _ in range(2):
            with pytest.raises(BridgeError, match="died 3 times within 60 s") as caught:
                await local.endpoint()
            assert caught.value.kind == "Provider"
            assert caught.value.retry_after is not None
        assert local.pids == ()

    use(model, act)


def test_closing_leaves_no_process(model: Path) -> None:
    pids: list[int] = []

    async def act(local: LocalModel) -> None:
        await local.endpoint()
        pids.extend(local.pids)
        await local.close()
        assert is_gone(pids[0])
        await local.close()
        with pytest.raises(BridgeError, match="has been closed"):
            await local.endpoint()

    use(model, act)
    assert len(pids) == 1


SUPERVISOR = """
import asyncio, pathlib
from llmspell_bridges.local import LocalModel

async def main():
    local = LocalModel(root=pathlib.Path(sys.argv[1]))
    await local.endpoint()
    print(*local.pids, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.undisturbed
def test_a_supervisor_that_gets_sigkill_leaves_no_process_after_one_second(
    model: Path, script: Script
) -> None:
    with script(SUPERVISOR, str(model.parent)) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        handle = os.pidfd_open(pid)
        try:
            assert not select.select([handle], [], [], 0)[0]
            supervisor.kill()
            assert select.select([handle], [], [], 1.0)[0], "the model's process is still alive"
        finally:
            os.close(handle)


ORDINARY = """
import asyncio, os, sys
from llmspell_bridges.local import LocalConfig, LocalModel

async def main():
    async with LocalModel(LocalConfig(path=sys.argv[1])) as local:
        endpoint = await local.endpoint()
        print(os.getuid(), endpoint.model, await local.healthy())

asyncio.run(main())
"""


@pytest.mark.ordinary_user
def test_an_ordinary_user_gets_a_confined_model_too(
    model: Path, ordinary_user: OrdinaryUser
) -> None:
    command = [sys.executable, "-c", ORDINARY, str(model)]
    done = subprocess.run(
        ordinary_user.command(command, readable=[model.parent]),
        env=ordinary_user.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{ordinary_user.uid} local True\n", done.stderr


def test_nothing_of_llama_cpp_reaches_the_supervisors_terminal(model: Path, script: Script) -> None:
    with script(SUPERVISOR, str(model.parent)) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()
        supervisor.kill()
        out, err = supervisor.communicate()
    assert (out, err) == ("", "")


# --- walls ------------------------------------------------------------------------------------


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)


def data_limit_of(pid: int) -> int:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Max data size")).split()[3])


def open_files_of(pid: int) -> set[str]:
    held = {os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    return {h for h in held if not h.startswith(("pipe:", "socket:", "anon_inode:"))}


def read_proc(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def test_the_process_is_confined_as_the_kernel_sees_it(model: Path) -> None:
    size = model.stat().st_size

    async def act(local: LocalModel) -> None:
        endpoint = await local.endpoint()
        (pid,) = local.pids
        status = status_of(pid)
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
        assert data_limit_of(pid) == 1024 * MIB + 2 * size
        assert read_proc(pid, "environ") == b""
        assert endpoint.api_key.encode() not in read_proc(pid, "cmdline")

    use(model, act)


def test_the_process_holds_no_descriptor_but_pipes_its_sockets_and_the_model(model: Path) -> None:
    async def act(local: LocalModel) -> None:
        await local.endpoint()
        (pid,) = local.pids
        assert open_files_of(pid) <= {str(model)}

    with Path(os.devnull).open() as inheritable:
        os.set_inheritable(inheritable.fileno(), True)
        use(model, act)


# --- what goes wrong --------------------------------------------------------------------------


def refusal(root: Path, **config: object) -> BridgeError:
    async def act(local: LocalModel) -> None:
        with pytest.raises(BridgeError) as caught:
            await local.endpoint()
        assert local.pids == ()
        errors.append(caught.value)

    errors: list[BridgeError] = []
    use(root / "any", act, **config)
    assert "\n" not in errors[0].message
    return errors[0]


def test_a_missing_model_is_a_configuration_error_with_the_remedy(tmp_path: Path) -> None:
    error = refusal(tmp_path)
    assert error.kind == "Configuration"
    assert "llmspell-supervisor model install" in error.message


def test_a_missing_file_of_the_users_own_is_named(tmp_path: Path) -> None:
    error = refusal(tmp_path, path=str(tmp_path / "none.gguf"))
    assert error.kind == "Configuration"
    assert f"{tmp_path}/none.gguf does not exist" in error.message


def test_a_corrupt_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 4096)
    error = refusal(tmp_path, path=str(tmp_path / "bad.gguf"))
    assert error.kind == "Configuration"
    assert f"cannot load the model file {tmp_path}/bad.gguf" in error.message


def test_a_truncated_model_is_named(model: Path, tmp_path: Path) -> None:
    with model.open("rb") as whole:
        (tmp_path / "half.gguf").write_bytes(whole.read(40 * MIB))
    error = refusal(tmp_path, path=str(tmp_path / "half.gguf"))
    assert f"cannot load the model file {tmp_path}/half.gguf" in error.message


def test_a_model_that_does_not_fit_into_its_memory_is_a_configuration_error(model: Path) -> None:
    error = refusal(model.parent, path=str(model), memory=256 * MIB, context=8192)
    assert error.kind == "Configuration"
    assert "memory" in error.message


def test_a_model_that_takes_too_long_to_load_is_a_timeout(model: Path) -> None:
    error = refusal(model.parent, start_timeout=0.001)
    assert (error.kind, error.duration) == ("Timeout", 0.001)


ENDPOINT = """
import asyncio
from llmspell_bridges import BridgeError
from llmspell_bridges.local import LocalConfig, LocalModel

async def main():
    async with LocalModel(LocalConfig(path=sys.argv[1])) as local:
        await local.endpoint()

try:
    asyncio.run(main())
except BridgeError as error:
    print(error)
"""


def test_a_missing_library_names_the_extra_that_brings_it(
    tmp_path: Path, bare_python: list[str]
) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF")
    done = subprocess.run(
        [*bare_python, ENDPOINT, str(path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("Configuration: "), done.stderr
    assert "pip install 'llmspell-supervisor[local]'" in done.stdout
