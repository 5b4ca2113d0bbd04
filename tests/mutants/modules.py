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
_WALK: Final = (
    f"{_PROTOCOL}test_walk.py"
    f" --deselect={_PROTOCOL}test_walk.py::test_the_heaviest_frames_cost_what_they_weigh"
)
"""Without what measures: the machine is busy."""
_SUPERVISOR: Final = "tests/supervisor/"
_CONTAINMENT: Final = "tests/workers/containment/"
_FAULTS: Final = f"{_CONTAINMENT}test_faults.py"
_EVERY_CALL: Final = f"{_FAULTS}::test_a_call_that_fails_ends_the_worker_and_names_its_layer"
"""Six hundred workers, which is too many for each mutant."""
_LAYERS: Final = (
    f"{_CONTAINMENT}test_host_view.py {_CONTAINMENT}test_layers.py {_FAULTS}"
    f" --deselect={_EVERY_CALL}"
)

_JIT: Final = (
    f"{_CONTAINMENT}test_trap.py::test_without_a_handler_that_stays_a_jit_s_filter_kills_by_itself"
)

GROUPS: Final[dict[str, tuple[Module, ...]]] = {
    "protocol": _modules(
        "llmspell_protocol",
        {
            "_walk": _WALK,
            "_framing": f"{_PROTOCOL}test_connection.py {_PROTOCOL}test_specification.py",
            "_ledger": _WIRE,
            "_state": _WIRE,
            "_connection": _WIRE,
            "_values": f"{_PROTOCOL}test_values.py {_WALK}",
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
            "_rlimits": f"{_CONTAINMENT}test_rlimits.py {_LAYERS}",
            "_landlock": f"{_CONTAINMENT}test_landlock.py {_LAYERS}",
            "_seccomp": f"{_JIT} {_LAYERS}",
            "_fds": f"{_CONTAINMENT}test_fds.py {_LAYERS}",
            "_identity": f"{_CONTAINMENT}test_identity.py {_LAYERS}",
            "_checklist": f"{_CONTAINMENT}test_checklist.py {_LAYERS}",
            "_layers": _LAYERS,
        },
    ),
}
