"""The bridge `convert`: units of length, mass and time. Trusted side: see bridges/README.md."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from llmspell_bridges import Bridge, BridgeConfig, BridgeError, CallContext, method

_UNITS: Final[dict[str, dict[str, float]]] = {
    "length": {"m": 1.0, "km": 1000.0, "cm": 0.01, "in": 0.0254, "ft": 0.3048, "mi": 1609.344},
    "mass": {"kg": 1.0, "g": 0.001, "t": 1000.0, "lb": 0.45359237, "oz": 0.028349523125},
    "time": {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0},
}
"""Kind to unit to its size in the first one. The inch, mile, pound and ounce are exact by treaty."""


class ConvertConfig(BridgeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `[convert]` of the supervisor's config file."""

    digits: Annotated[int, Meta(ge=1, le=17, description="significant digits of an answer")] = 12


class Unit(Struct, frozen=True):
    """One unit, as scripts see it: a map."""

    name: str
    kind: str


class ConvertBridge(Bridge):
    """Units of length, mass and time."""

    name: ClassVar[str] = "convert"
    config: ClassVar[type[BridgeConfig]] = ConvertConfig

    def __init__(self, config: ConvertConfig) -> None:
        self._digits = config.digits

    @method(effect="read")
    def to(
        self,
        ctx: CallContext,  # noqa: ARG002 - every method gets it; this one asks for no policy
        value: Annotated[float, Meta(description="how many")],
        unit: Annotated[str, Meta(description="of what: m, km, lb, h, ...")],
        target: Annotated[str, Meta(description="in what; of the same kind")],
    ) -> float:
        """A quantity in another unit."""
        for units in _UNITS.values():
            if unit in units:
                if target not in units:
                    known = ", ".join(units)
                    message = f"convert.to: {unit} becomes one of {known}, not '{target}'"
                    raise BridgeError("Validation", message, field="target")
                return float(f"{value * units[unit] / units[target]:.{self._digits}g}")
        known = ", ".join(name for units in _UNITS.values() for name in units)
        message = f"convert.to: there is no unit '{unit}'; there are {known}"
        raise BridgeError("Validation", message, field="unit")

    @method(effect="read")
    def units(self, ctx: CallContext) -> list[Unit]:  # noqa: ARG002 - likewise
        """Every unit that there is."""
        return [Unit(name, kind) for kind, units in _UNITS.items() for name in units]
