"""What is mutated, and the tests that have to notice: those that mirror the module and are quick."""

from __future__ import annotations

from typing import Final, NamedTuple

SEED: Final = 3
PLACES: Final = 16
"""Places of a module that are changed, if it has so many; each is changed in one way."""
ENOUGH: Final = 0.85
"""The share of a group's mutants that must be killed."""


class Module(NamedTuple):
    """One module and the arguments that pytest is given for its mutants."""

    name: str
    tests: tuple[str, ...]

    @property
    def path(self) -> str:
        """Its file, from the root of the repository."""
        package, *rest = self.name.split(".")
        return "/".join((package.removeprefix("llmspell_"), package, *rest)) + ".py"


def _modules(package: str, tests: dict[str, str]) -> tuple[Module, ...]:
    return tuple(Module(f"{package}.{name}", tuple(t.split())) for name, t in tests.items())


_PROTOCOL: Final = "tests/protocol/"
_WIRE: Final = " ".join(
    f"{_PROTOCOL}test_{name}.py" for name in ("state", "ledger", "connection", "values")
)
_SUPERVISOR: Final = "tests/supervisor/"
_CONTAINMENT: Final = "tests/workers/containment/"
_FAULTS: Final = f"{_CONTAINMENT}test_faults.py"
_OTHER_ERRNOS: Final = " ".join(
    f"--deselect={_FAULTS}::test_a_call_that_fails_ends_the_worker_and_names_its_layer[{code}-"
    for code in ("ENOMEM", "EMFILE", "EINTR", "ENOSYS")
)
_LAYERS: Final = (
    f"{_CONTAINMENT}test_host_view.py {_CONTAINMENT}test_layers.py {_FAULTS} {_OTHER_ERRNOS}"
)

GROUPS: Final[dict[str, tuple[Module, ...]]] = {
    "protocol": _modules(
        "llmspell_protocol",
        {
            "_walk": f"{_PROTOCOL}test_walk.py",
            "_framing": f"{_PROTOCOL}test_connection.py {_PROTOCOL}test_specification.py",
            "_ledger": _WIRE,
            "_state": _WIRE,
            "_connection": _WIRE,
            "_values": f"{_PROTOCOL}test_values.py {_PROTOCOL}test_walk.py",
        },
    ),
    "policy and limits": _modules(
        "llmspell_supervisor",
        {
            "_policy": f"{_SUPERVISOR}test_policy.py {_SUPERVISOR}test_resolve.py",
            "_resolve": f"{_SUPERVISOR}test_resolve.py",
            "_budget": f"{_SUPERVISOR}test_budget.py",
            "_ending": f"{_SUPERVISOR}test_ending.py",
            "_units": f"{_SUPERVISOR}test_units.py",
        },
    ),
    "containment": _modules(
        "llmspell_workers.containment",
        {
            "_bpf": f"{_CONTAINMENT}test_bpf.py",
            "_policy": f"{_CONTAINMENT}test_bpf.py tests/workers/engines/test_syscalls.py",
            "_rlimits": _LAYERS,
            "_landlock": _LAYERS,
            "_seccomp": _LAYERS,
            "_fds": _LAYERS,
            "_identity": _LAYERS,
            "_checklist": _LAYERS,
            "_layers": _LAYERS,
        },
    ),
}
