"""Moments in time zones."""

from __future__ import annotations

import datetime as dt
from typing import Final

from .._errors import BridgeError
from ._types import Moment


def moment(at: str | None, zone: str, add: float) -> Moment:
    """The moment `at`, or now, plus `add` seconds, in a zone. Raises `BridgeError`."""
    from zoneinfo import ZoneInfo

    try:
        there = ZoneInfo(zone)
    except (LookupError, ValueError, OSError):
        raise _invalid("zone", "there is no such time zone") from None
    try:
        given = dt.datetime.now(dt.UTC) if at is None else dt.datetime.fromisoformat(at)
        if given.tzinfo is None:
            given = given.replace(tzinfo=dt.UTC)
        found = (given + dt.timedelta(seconds=add)).astimezone(there)
    except ValueError:
        raise _invalid("at", "is no moment by ISO 8601, such as 2026-11-28T12:00:00Z") from None
    except OverflowError:
        raise _invalid("add_seconds", "leads out of the calendar") from None
    return Moment(
        iso=found.isoformat(), unix=found.timestamp(), zone=zone,
        weekday=_WEEKDAYS[found.weekday()], year=found.year, month=found.month,
        day=found.day, hour=found.hour, minute=found.minute, second=found.second,
    )  # fmt: skip


_WEEKDAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip


def _invalid(field: str, message: str) -> BridgeError:
    return BridgeError("Validation", f"{field}: {message}", field=field)
