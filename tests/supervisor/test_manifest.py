"""The manifest that a stranger put beside a spell, and the parameters that it declares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmspell_supervisor._errors import ConfigError, SupervisorError, UsageError
from llmspell_supervisor._manifest import MAX_MANIFEST, find_manifest
from llmspell_supervisor._parameters import SpellParameter, complete
from llmspell_supervisor.cli._params import read_params


def spell_with(tmp_path: Path, text: str) -> str:
    (tmp_path / "a.lua").write_text("return 1")
    (tmp_path / "spell.toml").write_text(text)
    return str(tmp_path / "a.lua")


def test_a_manifest_is_found_beside_its_spell(tmp_path: Path) -> None:
    spell = spell_with(tmp_path, '[limits]\ntimeout = "5s"\n[grants]\nallow_env = ["A"]\n')
    found = find_manifest(spell)
    assert found is not None
    assert found.layer.role == "manifest"
    assert found.layer.values == {"timeout": 5.0, "allow_env": ("A",)}


def test_a_manifest_about_another_spell_is_not_heard(tmp_path: Path) -> None:
    assert find_manifest(spell_with(tmp_path, 'spell = "b.lua"\n')) is None
    assert find_manifest(spell_with(tmp_path, 'spell = "a.lua"\n')) is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[limits]\nisolation = "degraded"\n', "limits.isolation: unknown key"),
        ('[grants]\nisolation = "degraded"\n', "grants.isolation: unknown key"),
        ("[grants]\nrequire_tls = false\n", "grants.require_tls: unknown key"),
        ("[grants]\nmemory = 1\n", "grants.memory: unknown key"),
        ("[policy]\n", "policy: unknown key"),
        ("spell = 1\n", "spell: is not a file name"),
        ("[limits]\nmemory = -1\n", "is too little"),
        ("#" * (MAX_MANIFEST + 1), "the cap is 64 KiB"),
        ("name = 3", "spell.toml:1: name: is not a text"),
        (f'name = "{"x" * 1001}"', "name: is not a text of at most 1000 characters"),
        ('engine = "lau"', "spell.toml:1: engine: no engine 'lau'; did you mean 'lua'?"),
        ("params = 3", "params: is not a table"),
        ("[params]\nn = 3", "spell.toml:2: params.n: is not a table: write [params.n]"),
        ("[params.n]", "params.n.type: is not one of string, integer"),
        ('[params.n]\ntype = "int"', "spell.toml:2: params.n.type: is not one of"),
        ('[params.n]\ntype = "strng"', "did you mean 'string'?"),
        ('[params.n]\ntype = "list"\nrequird = true', "unknown key; did you mean 'required'?"),
        ('[params.n]\ntype = "list"\nrequired = 1', "params.n.required: is not true or false"),
        ('[params.n]\ntype = "integer"\ndefault = "3"', "params.n.default: is not an integer"),
        ('[params.n]\ntype = "integer"\ndefault = true', "params.n.default: is not an integer"),
        ('[params.n]\ntype = "string"\ndefault = 2020-01-01', "params.n.default: is not a string"),
        (
            '[params.n]\ntype = "integer"\ndefault = 3\nrequired = true',
            "params.n.default: what is required has no default",
        ),
        (
            '[params.n]\ntype = "string"\nchoices = ["a", 2]',
            "params.n.choices: is not a list, each of it a string",
        ),
        (
            '[params.n]\ntype = "string"\nchoices = ["a"]\ndefault = "b"',
            'params.n.default: is not one of "a"',
        ),
        ('[params."a=b"]\ntype = "string"', "is not a name for a parameter"),
        ('[params."a\\nb"]\ntype = "string"', "is not a name for a parameter"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SupervisorError) as caught:
        find_manifest(spell_with(tmp_path, text))
    assert message in str(caught.value)
    assert "spell.toml" in str(caught.value)


@pytest.mark.timeout(5)
def test_a_manifest_that_is_a_pipe_does_not_block(tmp_path: Path) -> None:
    spell = spell_with(tmp_path, "")
    (tmp_path / "spell.toml").unlink()
    os.mkfifo(tmp_path / "spell.toml")
    with pytest.raises(ConfigError, match="is a pipe"):
        find_manifest(spell)


PARAMS = """
name = "Report"
description = "Writes  a\\nreport."
engine = "javascript"
[params.topic]
type = "string"
required = true
description = "what it is about"
[params.count]
type = "integer"
default = 3
[params.scale]
type = "number"
choices = [0.5, 1, 2]
[params.deep]
type = "boolean"
[params.tags]
type = "list"
default = ["a"]
[params.more]
type = "map"
"""


def declared(tmp_path: Path) -> dict[str, SpellParameter]:
    found = find_manifest(spell_with(tmp_path, PARAMS))
    assert found is not None
    assert (found.name, found.description, found.engine) == (
        "Report",
        "Writes a report.",
        "javascript",
    )
    assert found.parameters is not None
    return found.parameters


def test_what_is_not_given_has_its_default_or_is_absent(tmp_path: Path) -> None:
    assert complete(declared(tmp_path), {"topic": "x"}) == {"topic": "x", "count": 3, "tags": ["a"]}


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("topic=3", "3"),
        ("topic=", ""),
        ("count=-7", -7),
        ("count=007", 7),
        ("count:=7", 7),
        ("count:=7.0", 7),
        ("scale=0.5", 0.5),
        ("scale=2", 2),
        ("deep=true", True),
        ("deep:=false", False),
        ("tags=[1,2]", [1, 2]),
        ('more={"a":null}', {"a": None}),
        ('more:={"a":1}', {"a": 1}),
    ],
)
def test_a_text_is_read_by_the_type_that_is_declared(
    tmp_path: Path, pair: str, value: object
) -> None:
    name = pair.partition("=")[0].removesuffix(":")
    params = read_params(
        [*(["topic=x"] if name != "topic" else []), pair], None, declared(tmp_path)
    )
    assert params[name] == value
    assert type(params[name]) is type(value)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "parameter 'topic' is required: what it is about (--param topic=TEXT)"),
        (["topic:=3"], "parameter 'topic': '3' is not a string (--param topic=TEXT)"),
        (["topic=x", "count=three"], "parameter 'count': 'three' is not an integer"),
        (["topic=x", "count=1.5"], "parameter 'count': '1.5' is not an integer"),
        (["topic=x", "count:=true"], "parameter 'count': 'true' is not an integer"),
        (["topic=x", "scale=nan"], "parameter 'scale': 'nan' is not one of 0.5, 1, 2"),
        (["topic=x", "scale=3"], "parameter 'scale': '3' is not one of 0.5, 1, 2"),
        (["topic=x", "deep=yes"], "parameter 'deep': 'yes' is not a boolean (--param deep=true)"),
        (["topic=x", "tags={}"], "parameter 'tags': '{}' is not a list (--param tags:=[1,2])"),
        (["topic=x", "more=["], "parameter 'more': '[' is not a map"),
        (["topc=x"], "the spell has no parameter 'topc'; did you mean 'topic'?"),
        (["topic=x", "zzz:=1"], "no parameter 'zzz' (it has: topic, count, scale"),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path: Path, pairs: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_params(pairs, None, declared(tmp_path))
    assert message in str(caught.value)


def test_a_spell_that_declares_an_empty_table_takes_none(tmp_path: Path) -> None:
    found = find_manifest(spell_with(tmp_path, "[params]\n"))
    assert found is not None
    assert found.parameters == {}
    with pytest.raises(UsageError, match="it takes none"):
        read_params(["a=1"], None, found.parameters)
