"""`notify`: a webhook on loopback."""

from __future__ import annotations

from llmspell_protocol import ErrorKind
from tests.e2e.cross_engine.case import Case, Failed, caught, gives

GRANTED = {"allow_bridges": ("notify",)}


def refuses(name: str, code: str, message: str, field: str | None, kind: ErrorKind) -> Case:
    failed = Failed(kind=kind, message=message, field=field)
    return caught(name, f"notify.{code}", f"await notify.{code}", failed, policy=GRANTED)


CASES = (
    gives(
        "a text is sent",
        'return notify.send("ops", "hello") == nil',
        'return (await notify.send("ops", "hello")) === null',
        True,
        policy=GRANTED,
    ),
    gives(
        "a message with a title is sent",
        'notify.send("ops", {title = "t", body = "b", level = "warning"}) return 1',
        'await notify.send("ops", { title: "t", body: "b", level: "warning" }); return 1',
        1,
        policy=GRANTED,
    ),
    gives(
        "targets are listed",
        "return notify.targets()",
        "return notify.targets()",
        ["lost", "ops"],
        policy=GRANTED,
    ),
    refuses(
        "a target that there is not",
        'send("opps", "x")',
        "target: the config names no target 'opps'; did you mean 'ops'?",
        "target",
        "Configuration",
    ),
    refuses(
        "a target whose address is not set",
        'send("lost", "x")',
        "lost: CROSS_ENGINE_NOT_SET is not set: export it",
        None,
        "Configuration",
    ),
    refuses(
        "a message that is too long",
        f'send("ops", "{"x" * 101}")',
        "body: 101 characters; the limit is 100 (max_body)",
        "body",
        "Limit",
    ),
    refuses(
        "a message that is a number",
        'send("ops", 5)',
        "notify.send: message: expected string or map, got integer",
        "message",
        "Validation",
    ),
    refuses(
        "arguments for targets",
        "targets(1)",
        "notify.targets: takes no arguments: targets() -> list of string",
        None,
        "Validation",
    ),
)
