"""A test as data that replays a recording."""

from __future__ import annotations

import json
import os

from ._file import Recording, made


def case_text(recording: Recording, spell: str, path: str) -> str:
    """A `*.test.toml` that stands beside the recording `path` and replays it with `spell`."""
    folder = os.path.dirname(os.path.abspath(path))
    about = os.path.relpath(spell, folder)
    name = f"{recording.spell.name} does what it did when it was recorded"
    calls = ", ".join(json.dumps(call.method) for call in made(recording))
    lines = [
        f"# The calls of the spell ({calls or 'none'}) are answered from the recording, and the",
        "# run must be equal to it: what it asks, what it writes, what it returns.",
        f"spell = {_text(about)}",
        "",
        "[[test]]",
        f"name = {_text(name)}",
        f"recording = {_text(os.path.basename(path))}",
    ]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """A basic string of TOML, whose escapes JSON has too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
