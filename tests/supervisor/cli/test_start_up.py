"""What a run does not import, and that what it puts off is whole when it is wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from llmspell_supervisor.cli._arguments import flag_values, parse_plain
from llmspell_supervisor.cli._parser import parse

IMPORTED = """
import os, sys
from llmspell_supervisor.__main__ import main
end = os._exit
def tell(code):
    hooks = {n: vars(m).get("__getattr__") for n, m in sys.modules.items() if m}
    print(*(n for n, hook in hooks.items() if "_Later" not in getattr(hook, "__qualname__", "")))
    sys.stdout.flush()
    end(code)
os._exit = tell
main()
"""
"""The command, which at its very end says what has been imported and run."""

NOT_FOR_A_RUN = {
    "argparse", "ast", "dataclasses", "difflib", "dis", "email", "fnmatch", "gettext", "http",
    "importlib.metadata", "importlib.resources", "importlib.util", "inspect", "json", "litellm",
    "locale", "pathlib", "pkgutil", "rich", "shtab", "shutil", "ssl", "tempfile", "textwrap",
    "tokenize", "tomllib", "typing_extensions", "urllib",
    "asyncio.sslproto",
    "llmspell_bridges.llm._call", "llmspell_bridges.llm._routing", "llmspell_bridges.local._model",
    "llmspell_supervisor._doctor", "llmspell_supervisor._toml",
    "llmspell_supervisor.cli._parser", "llmspell_supervisor.cli._summary",
}  # fmt: skip
"""Each takes one to thirty milliseconds, and only other commands, flags or mishaps need it."""


def python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path[:0] = {sys.path!r}\n{program}",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_a_run_imports_nothing_that_only_other_commands_flags_or_mishaps_need(
    tmp_path: Path,
) -> None:
    spell = tmp_path / "hello.lua"
    spell.write_text('console.log("hello") return 1')
    before = set(python("print(*sys.modules)").stdout.split())
    done = python(IMPORTED, "run", str(spell))
    said, value, imported = done.stdout.splitlines()
    assert (said, value) == ("hello", "1"), done.stderr
    assert {"asyncio", "msgspec", "llmspell_supervisor.cli._live"} <= set(imported.split())
    assert NOT_FOR_A_RUN & (set(imported.split()) - before) == set()


def test_a_bare_run_is_parsed_without_a_parser_to_the_same_arguments() -> None:
    plain = parse_plain(["run", "a.lua"])
    assert plain is not None
    parsed = parse(["run", "a.lua"])
    assert vars(plain) == {k: v for k, v in vars(parsed).items() if not k.startswith("policy.")}
    assert flag_values(plain) == flag_values(parsed) == {}


def test_only_a_run_of_one_file_goes_without_the_parser() -> None:
    for line in ("", "run", "run -", "run --help", "run a.lua b.lua", "validate a.lua", "run -q a"):
        assert parse_plain(line.split()) is None


def test_a_module_that_was_put_off_is_the_same_one_and_whole_once_it_is_used() -> None:
    done = python("""
from llmspell_supervisor._lean import lean_imports
with lean_imports():
    import ssl
    import asyncio
module = sys.modules["ssl"]
print("SSLContext" in vars(module), asyncio.base_events.ssl is module)
print(module.SSLContext.__name__, "SSLContext" in vars(module), "__getattr__" in vars(module))
import importlib
print(importlib.import_module("ssl") is module, module.__spec__.loader is module.__loader__)
try:
    module.nonsense
except AttributeError as error:
    print(error)
""")
    assert done.stdout.splitlines() == [
        "False True",
        "SSLContext True False",
        "True True",
        "module 'ssl' has no attribute 'nonsense'",
    ], done.stderr


def test_tls_works_after_it_was_put_off() -> None:
    done = python("""
from llmspell_supervisor._lean import lean_imports
with lean_imports():
    import asyncio
import ssl

def context(side):
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers("AECDH-AES128-SHA:@SECLEVEL=0")  # needs no certificate
    return made

async def serve(reader, writer):
    writer.write(await reader.readline())
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", ssl=context(ssl.PROTOCOL_TLS_SERVER))
    port = server.sockets[0].getsockname()[1]
    there = context(ssl.PROTOCOL_TLS_CLIENT)
    there.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=there)
    writer.write(b"over TLS\\n")
    print((await reader.readline()).decode(), end="")
    writer.close()
    server.close()

asyncio.run(main())
""")
    assert done.stdout == "over TLS\n", done.stderr


def test_threads_that_want_a_module_at_once_all_get_it_whole() -> None:
    done = python("""
from llmspell_supervisor._lean import lean_imports
import threading
with lean_imports():
    import inspect
sys.setswitchinterval(1e-6)
gate, found = threading.Barrier(8), []

def look():
    gate.wait()
    found.append((inspect.Signature.__name__, inspect.unwrap.__name__))

threads = [threading.Thread(target=look) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), set(found))
""")
    assert done.stdout == "8 {('Signature', 'unwrap')}\n", done.stderr


def test_msgspec_does_without_typing_extensions_and_others_find_it() -> None:
    done = python("""
from llmspell_supervisor._lean import lean_imports
with lean_imports():
    import msgspec
print("typing_extensions" in sys.modules)
""")
    assert done.stdout == "False\n", done.stderr
