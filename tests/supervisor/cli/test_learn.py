"""`run --learn`: the least manifest that a run needed, and that it is enough for the next."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from llmspell_supervisor import CallRecord, Policy, RunReport, Spell, Usage
from llmspell_supervisor._budget import RunBudget
from llmspell_supervisor._manifest import find_manifest
from llmspell_supervisor._policy import MIB
from llmspell_supervisor.cli._learn import Lesson, manifest_text
from tests.support.command import Command
from tests.support.web_server import WebServer, page

SPELLS = {
    "a.lua": 'console.log(env.WORD) return { params.n, type(llm.models().models), require("one") }',
    "a.js": "console.log(env.WORD);\n"
    'return [params.n, typeof (await llm.models()).models, await require("one")];',
}


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    for name, source in SPELLS.items():
        (tmp_path / name).write_text(source)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "one.lua").write_text("return 1")
    (tmp_path / "lib" / "one.js").write_text("return 1;")


GRANTS = ("--allow-env", "WORD", "--allow-env", "OTHER", "--library", "lib")
ENV = {"WORD": "hello", "OTHER": "unused"}


@pytest.mark.parametrize("spell", SPELLS)
def test_what_was_learnt_is_the_least_and_enough(
    command: Command, tmp_path: Path, spell: str
) -> None:
    learnt = command(
        "run", *GRANTS, "--learn", "spell.toml", "--param", "n:=3", "--json", spell, env=ENV
    )
    assert learnt.returncode == 0, learnt.stderr
    text = (tmp_path / "spell.toml").read_text()
    assert json.loads(learnt.stdout)["manifest"] == text
    found = tomllib.loads(text)
    assert found["spell"] == spell
    assert found["params"] == {"n": {"type": "integer"}}
    assert found["grants"] == {
        "allow_bridges": ["llm.models"],
        "allow_domain": [],
        "allow_env": ["WORD"],
        "allow_models": [],
        "allow_read": [],
        "allow_write": [],
        "libraries": [str(tmp_path / "lib")],
    }
    assert found["limits"]["max_calls"] == 2
    assert found["limits"]["max_tokens"] == 0
    again = command("run", *GRANTS, "--param", "n=3", "-q", spell, env=ENV)
    assert (again.returncode, again.stderr) == (0, "")
    assert json.loads(again.stdout) == json.loads(learnt.stdout)["value"]
    assert json.loads(again.stdout)[::2] == [3, 1]
    more = command("run", *GRANTS, "--param", "n=3", "--param", "m=4", spell, env=ENV)
    assert "the spell has no parameter 'm'" in more.stderr


def test_it_is_shown_where_no_file_is_wanted_and_overwrites_none_unasked(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "b.lua").write_text("return 1")
    shown = command("run", "--learn", "-", "b.lua").stdout
    assert shown.startswith("1\n# What one run of b.lua needed")
    assert tomllib.loads(shown.partition("\n")[2])["engine"] == "lua"
    (tmp_path / "mine.toml").write_text("mine")
    refused = command("run", "--learn", "mine.toml", "b.lua")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "mine.toml is there already (--force overwrites it)" in refused.stderr
    assert (tmp_path / "mine.toml").read_text() == "mine"
    assert command("run", "--learn", "mine.toml", "--force", "b.lua").returncode == 0
    assert tomllib.loads((tmp_path / "mine.toml").read_text())["spell"] == "b.lua"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--learn", "no/spell.toml"), "no/spell.toml cannot be written"),
        (("--learn", "lib", "--force"), "lib cannot be written"),
        (("--learn", "-", "--dry-run"), "a dry run does not show what a run needs"),
        (("--force",), "--force is for --learn"),
    ],
)
def test_what_cannot_be_learnt_is_refused_before_the_run(
    command: Command, flags: tuple[str, ...], message: str
) -> None:
    done = command("run", *flags, "a.lua")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_run_that_fails_teaches_nothing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "b.lua").write_text("error('no')")
    done = command("run", "--learn", "spell.toml", "b.lua")
    assert done.returncode == 1
    assert "nothing was learnt: the run did not end well" in done.stderr
    assert not (tmp_path / "spell.toml").exists()


def test_what_a_manifest_says_for_people_stays_and_does_not_narrow(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "b.lua").write_text("return { llm.models().default or json.null, params.tone }")
    (tmp_path / "spell.toml").write_text(
        'name = "B"\ndescription = "says \\"b\\""\n'
        '[params.tone]\ntype = "string"\nchoices = ["dry"]\ndefault = "dry"\ndescription = "how"\n'
        '[params."a.b"]\ntype = "map"\ndefault = { "x y" = [1, true] }\n'
        '[params.c]\ntype = "integer"\nrequired = true\n'
        "[limits]\nmax_calls = 0\n[grants]\nallow_bridges = []\n"
    )
    before = tomllib.loads((tmp_path / "spell.toml").read_text())
    flags = ("--learn", "spell.toml", "--force", "--param", "c=1")
    assert command("run", *flags, "b.lua").returncode == 0
    after = tomllib.loads((tmp_path / "spell.toml").read_text())
    assert {k: after[k] for k in ("name", "description", "params")} == {
        k: before[k] for k in ("name", "description", "params")
    }
    assert after["grants"]["allow_bridges"] == ["llm.models"]
    assert json.loads(command("run", "-q", "--param", "c=1", "b.lua").stdout) == [None, "dry"]


TOUCH = {
    "t.lua": """
        fs.mkdir(params.top .. "/out/new/deep")
        fs.write(params.top .. "/out/new/deep/a.txt", fs.read(params.top .. "/in/a.txt"))
        fs.remove(params.top .. "/out/new/deep/a.txt")
        fs.remove(params.top .. "/out/new/deep")
        pcall(fs.read, "/etc/passwd")
        return {tools.call("file_read", {path = params.top .. "/in/a.txt"}),
            #tools.file_search(params.top .. "/more/*", "b"), http.get(params.web .. "/a").body}
    """,
    "t.js": """
        await fs.mkdir(params.top + "/out/new/deep");
        await fs.write(params.top + "/out/new/deep/a.txt", await fs.read(params.top + "/in/a.txt"));
        await fs.remove(params.top + "/out/new/deep/a.txt");
        await fs.remove(params.top + "/out/new/deep");
        try { await fs.read("/etc/passwd"); } catch {}
        return [await tools.call("file_read", {path: params.top + "/in/a.txt"}),
            (await tools.fileSearch(params.top + "/more/*", "b")).length,
            (await http.get(params.web + "/a")).body];
    """,
}


@pytest.mark.parametrize("spell", TOUCH)
def test_folders_hosts_and_bridges_that_others_work_through_are_learnt(
    command: Command, tmp_path: Path, spell: str
) -> None:
    top = tmp_path / "top"
    for name in ("in", "more", "out"):
        (top / name).mkdir(parents=True)
    (top / "in" / "a.txt").write_text("a")
    (top / "more" / "b.txt").write_text("b")
    (tmp_path / spell).write_text(TOUCH[spell])
    grants = [f"--allow-bridge={name}" for name in ("fs", "http", "tools")]
    grants += ["--allow-read", str(top), "--allow-write", str(top)]
    grants += ["--allow-domain", "127.0.0.1", "--allow-domain", "a.example", "-q"]
    with WebServer({"/a": page(b"page")}) as web:
        settings = tmp_path / "config.toml"
        settings.write_text(f'[http]\nallow_private = ["127.0.0.1:{web.port}"]\n')
        params = ["--param", f"top={top}", "--param", f"web=http://127.0.0.1:{web.port}"]
        run = ["run", "--config", str(settings), *grants, *params]
        log = tmp_path / "audit.jsonl"
        learnt = command(*run, "--audit", str(log), "--learn", "spell.toml", spell)
        assert learnt.returncode == 0, learnt.stderr
        again = command(*run, spell)
    assert (again.returncode, json.loads(again.stdout)) == (0, ["a", 1, "page"])
    found = tomllib.loads((tmp_path / "spell.toml").read_text())["grants"]
    assert found["allow_read"] == [str(top / "in"), str(top / "more")]
    assert found["allow_write"] == [str(top / "out")]
    assert found["allow_domain"] == ["127.0.0.1"]
    assert found["allow_bridges"] == ["fs", "http.get", "tools.call", "tools.file_search"]
    calls = [json.loads(line) for line in log.read_text().splitlines()][1:-1]
    details = {call["method"]: call["detail"] for call in calls}
    assert details["http.get"] == {"domain": "127.0.0.1"}
    assert details["tools.call"]["tool"] == "file_read"
    assert [c["detail"] for c in calls if c["outcome"] == "Policy"] == [{"path": "/etc/passwd"}]
    assert str(top / "more" / "b.txt") in details["tools.file_search"]["path"]


STEPS = {
    "w.lua": """
        local flow = workflow.loop({name = "w", times = 3})
        flow:add_step({name = "s", tool = "csv_parse", args = {text = "a,b"}})
        return #flow:run().output
    """,
    "w.js": """
        const flow = await workflow.loop({name: "w", times: 3});
        await flow.addStep({name: "s", tool: "csv_parse", args: {text: "a,b"}});
        return (await flow.run()).output.length;
    """,
}


@pytest.mark.parametrize("spell", STEPS)
def test_what_a_workflow_calls_on_the_host_is_learnt(
    command: Command, tmp_path: Path, spell: str
) -> None:
    (tmp_path / spell).write_text(STEPS[spell])
    run = ("run", "-q", "--allow-bridge", "workflow", "--allow-bridge", "tools")
    assert command(*run, "--learn", "spell.toml", spell).returncode == 0
    found = tomllib.loads((tmp_path / "spell.toml").read_text())
    assert found["grants"]["allow_bridges"] == ["tools", "workflow.flow.add_step",
                                                "workflow.flow.run", "workflow.loop"]  # fmt: skip
    assert found["limits"]["max_calls"] == 10  # three of the spell's own, and three of the steps
    assert command(*run, spell).stdout.strip() == "3"


@pytest.mark.parametrize(
    ("spell", "source"),
    [
        ("r.lua", 'return fs.read("a.txt") .. #fs.roots().read'),
        ("r.js", 'return await fs.read("a.txt") + (await fs.roots()).read.length'),
    ],
)
def test_a_relative_path_needs_the_directory_that_it_begins_in(
    command: Command, tmp_path: Path, spell: str, source: str
) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "a.txt").write_text("a")
    (tmp_path / spell).write_text(source)
    run = ("run", "-q", "--allow-bridge", "fs", "--allow-read", "top")
    assert command(*run, "--learn", "spell.toml", spell).returncode == 0
    found = tomllib.loads((tmp_path / "spell.toml").read_text())["grants"]
    assert found["allow_read"] == [str(tmp_path / "top")]
    assert command(*run, spell).stdout.strip() == "a1"


# --- what is learnt of a call ---------------------------------------------------------------------


def record(outcome: str = "ok", **fields: Any) -> CallRecord:
    whole: dict[str, Any] = {
        "call": 1, "method": "fs.write", "args_sha256": "", "args_size": 0, "outcome": outcome,
        "size": 0, "duration": 0.0, "tokens": 0, "cost": 0.0, "detail": {}, **fields,
    }  # fmt: skip
    return CallRecord(**whole)


def learn(*records: CallRecord, usage: Usage | None = None, **policy: Any) -> dict[str, Any]:
    lesson = Lesson()
    for each in records:
        lesson.observe(each)
    spell = Spell.from_text("return 1", "lua", "a\n[grants]\njit = true")
    report = RunReport(
        spell=spell.name,
        engine="lua",
        verdict="ok",
        usage=usage or Usage(),
        policy=Policy(**policy),
    )
    return tomllib.loads(manifest_text(lesson, spell, {}, report, None))


def test_what_calls_noted_becomes_grants_and_refused_calls_need_none(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    grants = learn(
        record(detail={"domain": "a.example", "write": str(tmp_path / "in" / "a.txt")}),
        record(method="fs.read", detail={"read": str(tmp_path), "model": "x/y", "count": 3}),
        record(method="fs.read", detail={"read": str(tmp_path / "in")}),
        record("Policy", method="http.get", detail={"domain": "evil.example"}),
        record(method="http.get", detail={"domain": ["b.example", "c.example"], "read": "../x"}),
        record(method="tools.file_read", detail={"bridge": "fs"}),
        record(method="tools.call", nested="1", detail={"domain": "d.example"}, args_size=1 << 20),
    )["grants"]
    assert grants == {
        "allow_bridges": ["fs", "http.get", "tools.file_read"],
        "allow_domain": ["a.example", "b.example", "c.example", "d.example"],
        "allow_env": [],
        "allow_models": ["x/y"],
        "allow_read": [str(tmp_path)],
        "allow_write": [str(tmp_path / "in")],
        "libraries": [],
    }


def test_limits_are_rounded_up_and_never_above_those_of_the_run() -> None:
    usage = Usage(
        wall=3.0, cpu=0.1, peak_memory=100 * MIB, output=1500, calls={"fs.write": 41},
        most_tokens=1201, most_cost=0.013,
    )  # fmt: skip
    limits = learn(record(args_size=5000, size=2048, duration=2.0), usage=usage)["limits"]
    assert limits == {
        "memory": "256M",
        "cpu": "1s",
        "timeout": "5s",
        "max_output": "2K",
        "max_calls": 50,
        "max_request": "8K",
        "max_response": "2K",
        "request_timeout": "5s",
        "max_tokens": 2000,
        "max_cost": 0.02,
    }
    tight = learn(record(args_size=5000), usage=usage, max_calls=45, max_request=6000, timeout=4)
    assert tight["limits"]["max_calls"] == 45
    assert tight["limits"]["max_request"] == "6000"
    assert tight["limits"]["timeout"] == "4s"


def test_what_was_reserved_counts_since_the_next_run_must_reserve_it_too() -> None:
    usage = Usage()
    budget = RunBudget(Policy(max_tokens=1000), usage)
    first = budget.reserve(tokens=300, cost=0.1)
    budget.reserve(tokens=100).settle(prompt_tokens=10)
    first.settle(prompt_tokens=5)
    assert usage.most_tokens == 400
    assert usage.most_cost == pytest.approx(0.1)


def test_a_file_name_makes_no_line_of_its_own() -> None:
    assert "jit" not in learn()["grants"]


def test_a_learnt_manifest_is_read_as_one(command: Command, tmp_path: Path) -> None:
    command("run", *GRANTS, "--learn", "spell.toml", "--param", "n=3", "a.lua", env=ENV)
    found = find_manifest(str(tmp_path / "a.lua"))
    assert found is not None
    assert found.layer.values["allow_bridges"] == ("llm.models",)
