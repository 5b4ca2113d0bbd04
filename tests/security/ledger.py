"""The ledger, `docs/attacks.md`: every attack id, its status, and what shows it.

`python tests/security/ledger.py` writes it anew; a test holds it against the suite and the tests.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from llmspell_harness._attack import Host, Native, Peer
from llmspell_harness._catalogue import Entry, catalogue
from llmspell_harness._suite import declared

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/attacks.md"
ID = re.compile(r"(?<![\w.#])[LJYOPB]\d\d(?!\w)")
"""An id of the catalogue, as tests and docs cite it."""
_HEADINGS = {
    "lua": "A script, against the Lua engine",
    "javascript": "A script, against the JavaScript engine",
    "engines": "Engines to come",
    "os": "Native code in a worker, against the operating system",
    "protocol": "A worker, against the protocol",
    "bridges": "Through bridges, and against the host",
}
_HEAD = """\
# Attacks

Every attack that is held against this project, by its id; made from the suite and its catalogue by
`make docs`. `llmspell-supervisor harness` runs the suite on your machine. What is promised for every
row: the run ends with its true verdict, nothing survives it, the host has not changed, and no other
spell notices.

- **stopped**: the attacks named in "shown by" and the tests listed are its proof.
- **accepted**: not stopped; the note says why, and a trial pins what happens.
- **waits**: what it attacks does not exist here yet.

Walls are layers of containment, each of which stops every variant or one of them alone; [security.md]
(security.md) explains them.
"""


def citations() -> dict[str, list[str]]:
    """Attack id to the test files that cite it, relative to `tests/`."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.name == "ledger.py":
            continue
        for key in sorted(set(ID.findall(path.read_text("utf-8")))):
            found.setdefault(key, []).append(str(path.relative_to(ROOT / "tests")))
    return found


def shown_by() -> dict[str, list[str]]:
    """Attack id to the attacks of the suite, as `kind: name`."""
    found: dict[str, list[str]] = {}
    for attack, engine in declared():
        kind = {Native: "native", Peer: "peer", Host: "host"}.get(type(attack), f"{engine} script")
        words = f"{kind}: {attack.name}"
        names = found.setdefault(attack.id, [])
        if words not in names:
            names.append(words)
    return found


def walls() -> dict[str, list[str]]:
    """Attack id to every wall that one of its native attacks names."""
    found: dict[str, dict[str, None]] = {}
    for attack, _ in declared():
        if isinstance(attack, Native):
            found.setdefault(attack.id, {}).update(dict.fromkeys(attack.walls))
    return {key: list(names) for key, names in found.items()}


def page() -> str:
    """The whole page."""
    cited, attacks, layers = citations(), shown_by(), walls()
    parts = [_HEAD]
    for aim, entries in groupby(catalogue().values(), lambda entry: entry.aim):
        rows = [_row(e, cited, attacks, layers) for e in entries]
        head = "| id | attack | promised | status | shown by | walls |\n|--|--|--|--|--|--|"
        parts.append("\n".join([f"## {_HEADINGS[aim]}\n", head, *rows]) + "\n")
    return "\n".join(parts)


def _row(
    entry: Entry,
    cited: dict[str, list[str]],
    attacks: dict[str, list[str]],
    layers: dict[str, list[str]],
) -> str:
    status = f"waits for {entry.needs}" if entry.waits else entry.status
    proof = [*attacks.get(entry.id, []), *(f"`{name}`" for name in cited.get(entry.id, []))]
    cells = (
        entry.id,
        entry.title,
        entry.outcome + (f". {entry.note}" if entry.note else ""),
        status,
        "; ".join(proof) or "-",
        ", ".join(layers.get(entry.id, [])) or "-",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
