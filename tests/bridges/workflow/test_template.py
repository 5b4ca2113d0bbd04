"""Prompts with placeholders: what they can look up, and that they can do nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_bridges import BridgeError
from llmspell_bridges.workflow._template import (
    FILTERS,
    MAX_EXPRESSION,
    MAX_PLACEHOLDERS,
    MAX_STEPS,
    placeholders,
    render,
)

LIMIT = 10_000
VALUES: dict[str, Any] = {
    "topic": "owls",
    "n": 3,
    "ratio": 0.5,
    "yes": True,
    "nothing": None,
    "names": ["Ada", "Bo"],
    "research": {"status": "completed", "output": "They fly.", "items": [{"k": "v"}]},
    "hostile": "{{ topic }} {% for x in y %} {0.__class__} {{ 7*7 }}",
    "__class__": "data",
}


def filled(template: Any, **more: Any) -> Any:
    return render(template, {**VALUES, **more}, "prompt", LIMIT)


def refusal(template: Any, **more: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        filled(template, **more)
    assert caught.value.kind == "Validation"
    assert caught.value.field is not None
    assert caught.value.field.startswith("prompt")
    return caught.value


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("no placeholder, {single} braces", "no placeholder, {single} braces"),
        ("About {{topic}}.", "About owls."),
        ("{{ research.output }}", "They fly."),
        ("{{ research['output'] }}", "They fly."),
        ("{{ research.items[0].k }}", "v"),
        ("{{ names[1] }}", "Bo"),
        ("{{ n }} {{ ratio }} {{ yes }} [{{ nothing }}]", "3 0.5 true []"),
        ("{{ names }}", '["Ada", "Bo"]'),
        ("{{ research.items | tojson }}", '[{"k": "v"}]'),
        ("{{ topic | upper }} {{ '  x ' | trim }}", "OWLS x"),
        ("{{ names | join(', ') }} {{ names | length }}", "Ada, Bo 2"),
        ("{{ missing | default('none') }} {{ research.gone | default('none') }}", "none none"),
        ("{{ missing.deeper.still | default('none') }}", "none"),
        ("a\n{{topic}}\n", "a\nowls\n"),
        ("{{ __class__ }}", "data"),
    ],
)
def test_a_placeholder_becomes_what_it_looks_up(template: str, text: str) -> None:
    assert filled(template) == text


@pytest.mark.attack("B21")
@pytest.mark.parametrize(
    "template",
    [
        "{{ cycler.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ lipsum.__globals__['os'] }}",
        "{{ self.__init__ }}",
        "{{ self }}",
        "{{ topic.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ topic | attr('__class__') }}",
        "{{ topic | attr('format') }}",
        "{{ topic['__class__'] }}",
        "{{ '%s' | format(topic) }}",
        "{{ '{0.__class__}'.format(topic) }}",
        "{{ topic.format }}",
        "{{ topic.format_map(n) }}",
        "{{ names.append }}",
        "{{ names | map('upper') }}",
        "{{ range(10**9) | list }}",
        "{{ 'a' * 10**9 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ topic | center(1000000000) }}",
        "{{ topic | indent(1000000000) }}",
        "{% for x in names %}{{ x }}{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% set x = 1 %}",
        "{% raw %}{{ x }}{% endraw %}",
        "{{ topic if yes else n }}",
        "{{ [1, 2] }}",
        "{{ names[0:1] }}",
        "{{ dict(a=1) }}",
        "{{ 1 }}",
        "{{ names | join(names) }}",
        "{{ names | join('x', 'y') }}",
        "{{ names | join(attribute='__class__') }}",
        "{{ topic | default(value=n) }}",
        "{{ (topic | upper).x }}",
        "{{ config }}",
        "{{ request }}",
        "{{ caller() }}",
        "{{ super() }}",
        "{{",
        "{{ }}",
        "{{ topic",
        "{# never closed",
    ],
)
def test_whatever_could_compute_is_refused(template: str) -> None:
    refusal(template)
    refusal({"deep": [template]})


@pytest.mark.attack("B21")
def test_large_templates_are_refused_before_they_cost() -> None:
    assert "placeholders" in refusal("{{n}}" * (MAX_PLACEHOLDERS + 1)).message
    assert "placeholders" in refusal(["{{n}}"] * (MAX_PLACEHOLDERS + 1)).message
    assert "characters" in refusal("{{" + "(" * MAX_EXPRESSION + "n}}").message
    assert "characters" in refusal("{{" + "(" * 100_000).message
    assert "nested" in refusal("{{" + "(" * (MAX_EXPRESSION - 1) + "n}}").message
    assert "steps" in refusal("{{ n" + ".a" * MAX_STEPS + " }}").message
    assert "between two elements" in refusal("{{ names | join('" + "x" * 17 + "') }}").message


@pytest.mark.attack("B21")
@pytest.mark.parametrize("template", ["{{ big }}{{ big }}", ["{{ big }}", "{{ big }}"]])
def test_what_is_filled_in_is_bounded(template: Any) -> None:
    with pytest.raises(BridgeError) as caught:
        filled(template, big="x" * (LIMIT * 2 // 3))
    assert (caught.value.kind, caught.value.field is None) == ("Limit", False)


@pytest.mark.attack("B22")
def test_what_is_filled_in_is_no_template() -> None:
    hostile = VALUES["hostile"]
    assert filled("{{ hostile }}") == hostile
    assert filled("{{ hostile | trim }}!") == f"{hostile}!"
    assert filled(["{{ hostile }}", "a {{ hostile }}"]) == [hostile, f"a {hostile}"]


def test_an_error_names_the_field_and_the_variable_and_the_nearest_one() -> None:
    assert refusal("{{ tpic }}").message == ("prompt: there is no 'tpic'; did you mean 'topic'?")
    assert refusal("{{ research.outptu }}").message == (
        "prompt: there is no 'research.outptu'; did you mean 'research.output'?"
    )
    assert refusal({"query": ["{{ zzz }}"]}).message == "prompt.query[0]: there is no 'zzz'"
    assert refusal("{{ topic | uper }}").message == (
        f"prompt: there is no filter 'uper'; there are: {', '.join(FILTERS)}"
    )
    assert refusal("{{ n | length }}").message == "prompt: length takes a text, a list or a map"
    assert refusal("{{ blob }}", blob=b"\xff").message == "prompt: bytes are no text"


def test_in_a_map_of_arguments_a_placeholder_alone_keeps_its_type() -> None:
    given = {"a": "{{n}}", "b": "{{names}}", "c": "n={{n}}", "d": [1, "{{ yes }}"], "e": None}
    assert filled(given) == {
        "a": 3,
        "b": ["Ada", "Bo"],
        "c": "n=3",
        "d": [1, True],
        "e": None,
    }
    assert filled({"up": "{{ topic | upper }}"}) == {"up": "OWLS"}


def test_what_a_template_looks_up_can_be_told_without_values() -> None:
    found = placeholders("{{a.b[0]}} {{ c | default('x') | upper }} {{ 'text' }}", "prompt")
    assert [(lookup.path, lookup.optional) for lookup in found] == [
        (("a", "b", 0), False),
        (("c",), True),
    ]
