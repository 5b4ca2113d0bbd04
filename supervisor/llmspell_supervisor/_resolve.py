"""From layers to one policy: every layer narrows, none widens.

Layers are, in order, the config's `[policy]`, the chosen profile, the command line, and last the
manifest beside the spell. The first three are the operator's; the manifest is a stranger's.

**Limits.** The smallest number that a layer names; without any, the default. So a profile is a
ceiling for flags, and an operator may raise a limit above its default up to the field's own bound.
A manifest stays below what the operator or the default gives. What was narrowed is noted.

**Grants** (`allow_*`, `jit`, `isolation = "degraded"`). What the operator's layers name; a later
one may only name what an earlier one gives. A manifest grants nothing: it says what the spell
needs, the spell gets no more than that, and what the operator has not given is an error that says
how to give it. A manifest cannot loosen isolation.

**require_tls.** True where any layer says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from ._errors import PolicyError
from ._fields import flag_of, show_value
from ._policy import FIELDS, GRANTS, LIMITS, Policy
from ._units import write_units

DEFAULT: Final = "default"
"""The source of a field that no layer names."""

COMMAND_LINE: Final = "the command line"
"""The name of the layer that flags make."""

_NEEDS: Final = {
    "allow_env": "environment variable",
    "allow_domain": "host",
    "allow_read": "reading",
    "allow_write": "writing",
    "libraries": "libraries of",
    "allow_bridges": "bridge",
    "allow_models": "model",
}


class Layer(Struct, frozen=True):
    """Some fields of a policy and where they come from. `values` are checked (`check_fields`)."""

    name: str
    """For messages: `the command line`, `profile 'ci' of config.toml`."""
    values: Mapping[str, Any]
    role: Literal["operator", "manifest"] = "operator"


class Resolved(Struct, frozen=True):
    """A policy, which layer each field came from, and what was narrowed on the way."""

    policy: Policy
    sources: dict[str, str]
    notes: tuple[str, ...] = ()


class _Field(Struct):
    value: Any
    source: str = DEFAULT


def resolve(layers: Sequence[Layer]) -> Resolved:
    """Combine `layers`, operator's before manifest's. Raises `PolicyError`; see the module."""
    fields = {name: _Field(field.default) for name, field in FIELDS.items()}
    notes: list[str] = []
    for layer in layers:
        if layer.role == "operator":
            for name, value in layer.values.items():
                _operator(fields[name], name, value, layer, notes)
    for layer in layers:
        if layer.role == "manifest":
            _manifest(fields, layer, notes)
    policy = Policy(**{name: field.value for name, field in fields.items()})  # which checks them
    return Resolved(policy, {name: field.source for name, field in fields.items()}, tuple(notes))


def _operator(field: _Field, name: str, value: Any, layer: Layer, notes: list[str]) -> None:
    if field.source == DEFAULT:
        field.value, field.source = value, layer.name
    elif name in LIMITS:
        if value <= field.value:
            field.value, field.source = value, layer.name
        else:
            asked, given = show_value(name, value), show_value(name, field.value)
            notes.append(f"{name}: {layer.name} asks for {asked}; {field.source} gives {given}")
    elif name == "require_tls":
        if value and not field.value:
            field.value, field.source = value, layer.name
    else:
        _narrow_grant(field, name, value, layer)


def _narrow_grant(field: _Field, name: str, value: Any, layer: Layer) -> None:
    outside = list(_outside(name, field.value, value))
    if outside:
        given = show_value(name, field.value)
        raise PolicyError(
            f"{layer.name}: {flag_of(name)} {outside[0]} is outside {field.source}: {name} {given}",
            f"change {field.source}, or use another profile",
        )
    field.value, field.source = value, layer.name


def _manifest(fields: dict[str, _Field], layer: Layer, notes: list[str]) -> None:
    missing = []
    for name, value in layer.values.items():
        field = fields[name]
        if name in LIMITS:
            _manifest_limit(field, name, value, layer, notes)
        elif name == "require_tls":
            field.value = field.value or value
        elif name != "isolation":  # the spell has no say in what holds it
            outside = [(name, item) for item in _outside(name, field.value, value)]
            missing += outside
            if not outside:
                field.value, field.source = value, layer.name
    if missing:
        raise _not_granted(layer, missing, fields)


def _manifest_limit(field: _Field, name: str, value: Any, layer: Layer, notes: list[str]) -> None:
    if value <= field.value:
        field.value, field.source = value, layer.name
        return
    asked, given = show_value(name, value), show_value(name, field.value)
    flag = f"{flag_of(name)} {write_units(value, LIMITS[name])}"
    notes.append(f"{name}: {layer.name} asks for {asked} and gets {given}; {flag} would give it")


def _not_granted(
    layer: Layer, missing: list[tuple[str, str]], fields: dict[str, _Field]
) -> PolicyError:
    needs = ", ".join(f"{_NEEDS.get(name, name)} {item}".strip() for name, item in missing)
    ceilings = {fields[name].source for name, _ in missing} - {DEFAULT, COMMAND_LINE}
    if ceilings:  # a flag could not pass them
        return PolicyError(f"{layer.name} needs {needs}", f"limited by {', '.join(ceilings)}")
    flags = " ".join(f"{flag_of(name)} {item}".strip() for name, item in missing)
    return PolicyError(f"{layer.name} needs {needs}", f"run with {flags}")


def _outside(name: str, given: Any, wanted: Any) -> Iterator[str]:
    """The items of `wanted` that `given` does not cover; for a switch, what it would be set to."""
    if name in GRANTS:
        for item in wanted:
            if not any(_covers(name, grant, item) for grant in given):
                yield item
    elif name == "jit" and wanted and not given:
        yield ""
    elif name == "isolation" and wanted == "degraded" and given == "strict":
        yield wanted


def _covers(name: str, grant: str, item: str) -> bool:
    """Whether `grant` gives `item`: itself, what is below it, a host or model of its pattern."""
    if grant == item:
        return True
    if name == "allow_bridges":
        return item.startswith(grant + ".")
    if name == "allow_models":
        return _model_covers(grant, item)
    if GRANTS[name] == "directory":
        return item.startswith(grant.rstrip("/") + "/")
    return GRANTS[name] == "domain" and grant.startswith("*.") and item.endswith(grant[1:])


def _model_covers(grant: str, item: str) -> bool:
    """A pattern within a pattern is judged by its beginning only: `a/*` gives `a/b-*`."""
    if not any(mark in item for mark in "*?["):
        import fnmatch

        return fnmatch.fnmatchcase(item, grant)
    prefix = grant.removesuffix("*")
    return prefix != grant and not any(m in prefix for m in "*?[") and item.startswith(prefix)
