"""Every example, in both languages, through the command that users type, against a real server."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from llmspell_testkit.model_server import Answer, ModelServer, Refusal, Scripted
from tests.support.command import Command, plain_environment
from tests.support.mcp_servers import reference
from tests.support.search_server import SearchServer
from tests.support.warm import WarmCommand

pytestmark = pytest.mark.xdist_group("examples")  # one warm command for all

EXAMPLES = Path(__file__).parents[2] / "examples"
LANGUAGES = ("lua", "js")
MODEL = "scripted/example"

WIZARD = {"name": "Orla", "age": 312, "spells": ["Fog", "Mend"]}


@dataclass(frozen=True)
class Case:
    """What an example does, whichever language it is written in."""

    answers: tuple[Scripted, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    """What it writes to the console, in full."""
    value: Any = None
    asked: Callable[[dict[str, Any]], object] = bool
    """Whether the last request to the model was the right one."""
    files: Mapping[str, str] = field(default_factory=dict)
    """What it writes, below the folder that it is run in."""
    given: Mapping[str, str] = field(default_factory=dict)
    """What is in that folder before."""
    servers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The reference MCP servers that it needs, by their names in the spell, and their arguments.

    `FOLDER` in arguments stands for the folder.
    """
    database: str = ""
    """What makes the database `shop` of the config file."""


ADA = {"name": "Ada", "entityType": "person", "observations": ["likes owls"]}
OWLS = "# Owls\nOwls eat mice, voles and other small animals, which they hunt at night.\n"
SHIPS = "# Ships\nA sailing ship is steered by its rudder.\n"
ORDER = {
    "customer": "Ada'); DROP TABLE orders; --",
    "items": [{"animal": "owl", "count": 2}, {"animal": "toad", "count": 1}],
}
"""As a model might write it that a letter has misled."""
FINDINGS = "Qubits hold. " * 20


def _calls(name: str, **arguments: Any) -> Answer:
    """The model asks for a tool."""
    return Answer("", tool_calls=((name, json.dumps(arguments)),))


def _said(body: dict[str, Any]) -> list[str]:
    return [message.get("content") or "" for message in body["messages"]]


RESEARCH = ("research", "summarize", "report")


def granted(*bridges: str) -> tuple[str, ...]:
    """Flags that grant bridges."""
    return tuple(word for bridge in bridges for word in ("--allow-bridge", bridge))


def _saw_the_image(body: dict[str, Any]) -> bool:
    text, image = body["messages"][0]["content"]
    address: str = image["image_url"]["url"]
    return text["type"] == "text" and address.startswith("data:image/png;base64,iVBORw0KGgo")


CASES = {
    "hello": Case(lines=("Hello, Ada!",), arguments=("--param", "name=Ada")),
    "basic-llm": Case(
        answers=(Answer("Bits that are both.", prompt_tokens=9, completion_tokens=4),),
        lines=("Response: Bits that are both.", "Tokens used: 13"),
        asked=lambda body: (
            body["messages"]
            == [{"role": "user", "content": "Explain quantum computing in simple terms"}]
        ),
    ),
    "robust-llm": Case(
        # A fault that the library below does not repeat, so that the spell's own policy must.
        answers=(Refusal(400, "the stars are wrong"), Answer("Machines that learn.")),
        lines=("Attempt 1 failed: *the stars are wrong*", "Success: Machines that learn."),
    ),
    "config-example": Case(
        answers=(Answer("As you set me."),),
        arguments=("--param", "query=Who?", "--allow-env", "LLM_TEMPERATURE"),
        # The second is in the environment and not granted: the spell must not see it.
        environment={"LLM_TEMPERATURE": "0.25", "LLM_MAX_TOKENS": "7"},
        value={
            "config": {"model": "gpt-3.5-turbo", "temperature": 0.25, "max_tokens": 1000},
            "response": "As you set me.",
        },
        asked=lambda body: (body["temperature"], body["messages"][1]["content"]) == (0.25, "Who?"),
    ),
    "streaming": Case(
        answers=(Answer(pieces=("They ", "fly.\nThey", " hoot.\n", "The end")),),
        lines=("They fly.", "They hoot.", "The end", "The answer came in * pieces"),
        asked=lambda body: body["stream"],
    ),
    "structured-output": Case(
        answers=(Answer(json.dumps(WIZARD)),),
        lines=("Orla, aged 312, casts:", "- Fog", "- Mend"),
        value=WIZARD,
        asked=lambda body: body["response_format"]["type"] == "json_schema",
    ),
    "research-workflow": Case(
        answers=(
            Answer("They fly."),
            Answer("Fly."),
            _calls("file_write", path="owls.md", text="# Owls fly"),
            Answer("It is in owls.md."),
        ),
        arguments=(
            *granted("llm", "tools", "workflow", "fs"),
            *("--allow-write", ".", "--param", "topic=owls"),
        ),
        lines=("Workflow completed:", *(f"- {s}: completed" for s in RESEARCH)),
        value="It is in owls.md.",
        asked=lambda body: "Create a structured report from this summary: Fly." in _said(body),
        files={"owls.md": "# Owls fly"},
    ),
    "resumable-workflow": Case(
        answers=(Answer("There was."), Answer("There came."), Answer("The end.")),
        arguments=granted("llm", "workflow"),
        lines=("written: opening", "written: middle", "written: ending"),
        value="There was. There came. The end.",
        asked=lambda body: (
            _said(body) == ["End this story, in one sentence: There was. There came."]
        ),
    ),
    "research-agent": Case(
        answers=(_calls("web_search", query="qubits", max_results=1), Answer(FINDINGS)),
        arguments=(
            *("--allow-bridge", "llm", "--allow-bridge", "tools", "--allow-bridge", "fs"),
            *("--allow-write", ".", "--param", "topic=quantum computing"),
        ),
        lines=("Research completed and saved!",),
        value={
            "topic": "quantum computing",
            "summary": FINDINGS[:200] + "...",
            "status": "completed",
        },
        asked=lambda body: "https://pages.example/0" in _said(body)[-1],
        files={"research/quantum_computing.md": FINDINGS},
    ),
    "agent-tools": Case(
        answers=(
            _calls("in_stock", animal="owl"),
            _calls("sell", animal="owl"),
            Answer("Here is your owl."),
        ),
        lines=("in_stock said 3", 'sell said {"left":2}', "Here is your owl."),
        value={"owls": 2, "turns": 3, "tokens": 36},
        asked=lambda body: _said(body)[-1] == '{"left":2}',
    ),
    "chat": Case(
        answers=(Answer("Upstairs, Ada."), Answer("You are Ada.")),
        lines=(
            "> I am Ada. Where is the library?",
            "Upstairs, Ada.",
            "> Who am I?",
            "You are Ada.",
        ),
        value=4,
        asked=lambda body: (
            _said(body)[1:3] == ["I am Ada. Where is the library?", "Upstairs, Ada."]
        ),
    ),
    "rag-folder": Case(
        answers=(Answer("Mice [1]."),),
        arguments=(
            *granted("llm", "rag"),
            *("--allow-read", "FOLDER/notes", "--param", "folder=FOLDER/notes"),
            *("--param", "question=What do owls eat?"),
        ),
        given={"notes/owls.md": OWLS, "notes/ships.md": SHIPS, "notes/c.txt": "no"},
        lines=(
            "read owls.md: 1 passages",
            "read ships.md: 1 passages",
            "most alike: owls.md",
            "Mice [1].",
        ),
        value={"answer": "Mice [1].", "source": "owls.md"},
        asked=lambda body: "[1] owls.md\n# Owls\nOwls eat mice" in _said(body)[-1],
    ),
    "extract-to-sql": Case(
        answers=(Answer(json.dumps(ORDER)),),
        arguments=(*granted("llm", "sql"), "--param", "letter=Two owls and a toad, Ada"),
        database="CREATE TABLE orders (customer TEXT, animal TEXT, count INTEGER)",
        lines=("Ada'); DROP TABLE orders; -- ordered 2 x owl", "Ada'* ordered 1 x toad"),
        value=2,
        asked=lambda body: (
            body["response_format"]["type"] == "json_schema"
            and _said(body)[-1] == "Two owls and a toad, Ada"
        ),
    ),
    "mcp-files": Case(
        arguments=("--allow-bridge", "mcp", "--param", "folder=FOLDER/notes"),
        given={"notes/a.md": "# Owls\nThey hoot.", "notes/b.md": "# Toads", "notes/c.txt": "no"},
        servers={"files": ("filesystem", "FOLDER/notes")},
        lines=("a.md: # Owls", "b.md: # Toads", "Provider: /etc/passwd is out of its reach"),
        value=["a.md", "b.md"],
    ),
    "mcp-memory": Case(
        answers=(
            _calls("memory__create_entities", entities=[ADA]),
            Answer("Welcome, Ada."),
        ),
        arguments=("--allow-bridge", "llm", "--allow-bridge", "mcp"),
        environment={"MEMORY_FILE_PATH": "FOLDER/memory.jsonl"},
        servers={"memory": ("memory",)},
        lines=("used memory__create_entities", "Welcome, Ada."),
        value=["Ada"],
        asked=lambda body: "likes owls" in _said(body)[-1],
    ),
    "image-question": Case(
        answers=(Answer("red"),), lines=("The square is red",), asked=_saw_the_image
    ),
}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture
def search() -> Iterator[SearchServer]:
    with SearchServer() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, server: ModelServer, search: SearchServer) -> Path:
    """A config file that knows the servers: as the provider `scripted`, and for the web."""
    path = tmp_path / "config.toml"
    path.write_text(
        f'[llm.providers.scripted]\nbase_url = "{server.base_url}"\n'
        f'[tools]\nsearch_provider = "searxng"\nsearch_url = "{search.url}"\n'
    )
    return path


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmCommand]:
    home = tmp_path_factory.mktemp("warm")
    with WarmCommand(plain_environment(home), home) as command:
        yield command


def run_arguments(spell: str, config: Path) -> list[str]:
    """How an example is run, as a user does: from a folder of theirs."""
    return ["run", str(EXAMPLES / spell), "--config", str(config), "--model", MODEL]


def _prepare(case: Case, config: Path) -> None:
    """What an example finds: its files, and its servers in the config file."""
    for path, text in case.given.items():
        place = config.parent / path
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    shop = config.parent / "shop.db"
    if case.database:
        with closing(sqlite3.connect(shop)) as made:
            made.executescript(case.database)
    with config.open("a") as file:
        if case.database:
            file.write(f'[sql.databases.shop]\nurl = "sqlite:///{shop}"\nmode = "write"\n')
            file.write('tables = ["orders"]\n')
        for name, (program, *arguments) in case.servers.items():
            given = [a.replace("FOLDER", str(config.parent)) for a in arguments]
            command = json.dumps(reference(program, *given)["command"])
            granted = json.dumps(list(case.environment))
            file.write(f"[mcp.servers.{name}]\ncommand = {command}\nenv = {granted}\n")


def like(line: str, pattern: str) -> bool:
    """Whether a line is as expected, where `*` stands for anything."""
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), line))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CASES)
def test_an_example_does_what_it_says(
    name: str,
    language: str,
    server: ModelServer,
    config: Path,
    environment: dict[str, str],
    warm: WarmCommand,
) -> None:
    case = CASES[name]
    folder = config.parent
    server.script("example", *case.answers)
    _prepare(case, config)
    ran = warm(
        *run_arguments(f"{name}.{language}", config),
        "--json",
        *(argument.replace("FOLDER", str(folder)) for argument in case.arguments),
        folder=folder,
        env={
            **environment,
            **{k: v.replace("FOLDER", str(folder)) for k, v in case.environment.items()},
        },
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["verdict"] == "ok"
    ends = {"write": ""}  # every other level ends its line
    said = "".join(entry["text"] + ends.get(entry["level"], "\n") for entry in report["logs"])
    lines = said.splitlines()
    assert len(lines) == len(case.lines), lines
    assert all(map(like, lines, case.lines)), lines
    assert report["value"] == case.value
    assert len(server.requests) == len(case.answers)
    assert all(case.asked(received.body) for received in server.requests[-1:])
    assert all((config.parent / p).read_text() == text for p, text in case.files.items())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_workflow_that_was_stopped_goes_on_in_the_next_run(
    language: str, server: ModelServer, config: Path, environment: dict[str, str], warm: WarmCommand
) -> None:
    command = run_arguments(f"resumable-workflow.{language}", config)
    arguments = [*command, *granted("llm", "workflow")]
    server.script("example", Answer("There was."), Answer("There came."), Refusal(400, "no ink"))
    stopped = warm(*arguments, folder=config.parent, env=environment)
    assert stopped.returncode == 1
    assert stopped.stdout == "written: opening\nwritten: middle\n"
    assert "step 'ending': " in stopped.stderr
    server.script("example", Answer("The end."))
    ended = warm(*arguments, folder=config.parent, env=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "written: ending\nThere was. There came. The end.\n"
    assert len(server.requests) == 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_console_of_an_example_goes_to_standard_output(
    language: str, server: ModelServer, config: Path, environment: dict[str, str]
) -> None:
    server.script("example", Answer("Bits."))
    # From the very beginning, imports included.
    ran = Command(environment, config.parent)(*run_arguments(f"basic-llm.{language}", config))
    assert (ran.returncode, ran.stdout, ran.stderr) == (
        0,
        "Response: Bits.\nTokens used: 12\n",
        "",
    )


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_example_that_gives_up_says_so(
    language: str,
    server: ModelServer,
    config: Path,
    environment: dict[str, str],
    warm: WarmCommand,
) -> None:
    server.script("example", *[Refusal(400, "never")] * 3)
    ran = warm(
        *run_arguments(f"robust-llm.{language}", config), folder=config.parent, env=environment
    )
    assert ran.returncode == 1
    assert "Failed after 3 attempts" in ran.stderr
    assert f"robust-llm.{language}" in ran.stderr
    assert len(server.requests) == 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_example_is_tested_and_listed_and_says_how_to_run_it(language: str) -> None:
    found = {path.stem: path for path in EXAMPLES.glob(f"*.{language}")}
    assert set(found) == set(CASES)
    table = (EXAMPLES / "README.md").read_text()
    for path in found.values():
        assert f"[{path.name}]({path.name})" in table
        first = path.read_text().splitlines()[0]
        assert f"llmspell-supervisor run examples/{path.name}" in first
