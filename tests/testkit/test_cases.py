"""Files of cases: what is wrong with one is told with the file, the case and the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_testkit import CaseError, EchoBridge, Stage, assert_same_everywhere, load_cases
from llmspell_testkit import load_column as load

GOOD = """
version = 1
[[case]]
name = "a sum"
value = {value}
source.lua = "return 1 + 1"
source.javascript = "return 1 + 1"
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x =", "cases.toml: not TOML: "),
        ("case = []", "cases.toml: version: must be 1, not nothing"),
        ("version = 2", "cases.toml: version: must be 1, not 2"),
        ("version = 1\nkase = []", "cases.toml: Object contains unknown field `kase`"),
        ("version = 1\n[[case]]\nname = 'a'", "case 'a': Object missing required field `source`"),
        ("version = 1\n[[case]]\nsource.lua = '1'", "case 'number 1': Object missing"),
        (GOOD.format(value=2) + "verdict = 'fine'", "case 'a sum': verdict: Invalid enum"),
        (GOOD.format(value=2) + "vertict = 'ok'", "case 'a sum': Object contains unknown field"),
        (GOOD.format(value=2) + "source.other = ' '", "case 'a sum': source.other: is empty"),
        (GOOD.format(value=2) + "policy = {cpu = -1}", "case 'a sum': policy: cpu: "),
        (GOOD.format(value=2) + "policy = {cpus = 1}", "case 'a sum': policy: "),
        (GOOD.format(value=2) + "error.line = 'x'", "case 'a sum': error.line: "),
        (GOOD.format(value='{"$null" = false}'), "case 'a sum': value: unknown mark `$null`"),
        (GOOD.format(value='{"$bytes" = "?"}'), "case 'a sum': value: `$bytes` is not base64: ?"),
        (
            GOOD.format(value=2) + "differs.lua = {reason = ' ', expect = {value = 1}}",
            "case 'a sum': differs.lua: reason: say why it differs",
        ),
        (
            GOOD.format(value=2) + "differs.other = {reason = 'x', expect = {}}",
            "case 'a sum': differs.other: there is no source in that language",
        ),
        (
            GOOD.format(value=2) + "differs.lua = {reason = 'x', expect = {valu = 1}}",
            "case 'a sum': differs.lua: Object contains unknown field `valu`",
        ),
        (
            GOOD.format(value=2) + GOOD.format(value=2).replace("version = 1", ""),
            "two cases are called 'a sum': rename one",
        ),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(text)
    with pytest.raises(CaseError) as caught:
        load_cases(path)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"none\.toml: cannot be read"):
        load_cases(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("", "column 'a sum': missing; give its `source`, or say why it is `unsupported`"),
        ('"another".source = "1"', "column 'another': there is no such case"),
        ('"a sum".source = ""', "column 'a sum': give either `source` or `unsupported`"),
        ('"a sum" = {source = "2", unsupported = "no"}', "give either"),
        ('"a sum" = {source = "2", expect = {value = 1}}', "reason: say why it differs"),
        ('"a sum" = {source = "2", expect = {worth = 1}, reason = "x"}', "unknown field `worth`"),
    ],
)
def test_a_column_that_is_wrong_says_where(tmp_path: Path, column: str, said: str) -> None:
    cases, path = tmp_path / "cases.toml", tmp_path / "column.toml"
    cases.write_text(GOOD.format(value=2))
    path.write_text(f'version = 1\nengine = "other"\n[column]\n{column}\n')
    with pytest.raises(CaseError) as caught:
        load(path, load_cases(cases))
    assert said in str(caught.value)


def test_a_column_cannot_leave_out_what_no_engine_can_do_without(tmp_path: Path) -> None:
    cases, path = tmp_path / "cases.toml", tmp_path / "column.toml"
    cases.write_text(GOOD.format(value=2) + "required = true")
    path.write_text('version = 1\nengine = "other"\n[column."a sum"]\nunsupported = "no sums"\n')
    with pytest.raises(CaseError, match="no engine can do without it"):
        load(path, load_cases(cases))


def test_a_column_is_what_the_engine_is_held_to(tmp_path: Path) -> None:
    cases, path = tmp_path / "cases.toml", tmp_path / "column.toml"
    cases.write_text(GOOD.format(value=2))
    path.write_text(
        'version = 1\nengine = "other"\n[column."a sum"]\nsource = "1 + 1"\nreason = "it rounds"\n'
        "expect = {value = 2.5}\n"
    )
    name, (case,) = load(path, load_cases(cases))
    assert (name, case.source["other"], case.theme) == ("other", "1 + 1", "cases")
    assert case.expected("other").value == 2.5
    assert case.expected("lua").value == 2


@pytest.mark.parametrize(
    ("lua", "more", "said"),
    [
        ("return 3", "", "'3' == '2'"),
        ("return 2.0", "", "'2.0' == '2'"),
        ("console.log(1) return 2", "", "log: 1"),
        ("error('no')", "", "script_error"),
        ("echo.say(1) return 2", "calls = {}", "echo.say"),
        ("return 1 + 1", "hint = 'more'", "more"),
    ],
)
def test_a_case_that_does_not_come_true_fails(
    tmp_path: Path, llmspell_echo: Stage, lua: str, more: str, said: str
) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(GOOD.format(value=2).replace('lua = "return 1 + 1"', f'lua = "{lua}"') + more)
    with pytest.raises(AssertionError) as caught:
        assert_same_everywhere(load_cases(path)[0], llmspell_echo)
    assert said in str(caught.value)


def test_languages_that_differ_in_what_the_case_does_not_speak_of_are_found(
    tmp_path: Path, llmspell_echo: Stage
) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(
        GOOD.format(value=2).replace('lua = "return 1 + 1"', 'lua = "echo.say(1) return 2"')
    )
    with pytest.raises(AssertionError, match=r"echo\.say"):
        assert_same_everywhere(load_cases(path)[0], llmspell_echo)


def test_every_case_of_ours_is_written_in_both_languages() -> None:
    assert EchoBridge.name == "echo"
    for case in load_cases():
        assert {"lua", "javascript"} <= set(case.source), case.name
