"""A statement of a script, and its answer, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from .._errors import BridgeError
from .._threads import Job

if TYPE_CHECKING:
    from sqlalchemy import CursorResult, TextClause

    from ._config import DatabaseConfig
    from ._types import Parameters

CELL: Final = 9
"""Bytes of a number on the wire, from above."""

BATCH: Final = 16
"""Rows fetched at a time: few, for each may be large, and they are measured afterwards."""


def parse(sql: str, params: Parameters) -> TextClause:
    """The statement, if `params` has a value for each `:name` and no other. `BridgeError` if not.

    Values are bound by the driver and never become a part of the text.
    """
    from sqlalchemy import text

    if "\0" in sql:
        raise BridgeError("Validation", "sql: a NUL character", field="sql")
    clause = text(sql)
    wanted = set(clause.compile().params)
    if missing := sorted(wanted - set(params)):
        message = f"params: no value for :{missing[0]}; write \\: for a colon that is none"
        raise BridgeError("Validation", message, field="params")
    if unused := sorted(set(params) - wanted):
        message = f"params: the statement has no :{unused[0]}"
        raise BridgeError("Validation", message, field=f"params.{unused[0]}")
    for name, value in params.items():
        if isinstance(value, (list, dict)):
            message = f"params.{name}: a list or a map is no value of a column; encode it as JSON"
            raise BridgeError("Validation", message, field=f"params.{name}")
    return clause


def collect(job: Job, result: CursorResult[Any], config: DatabaseConfig) -> list[dict[str, Any]]:
    """The rows of an answer. Raises `BridgeError` of kind `Limit` when there are too many."""
    names = list(result.keys())
    for index, name in enumerate(names):
        if name in names[:index]:
            message = f"sql: two columns are called {name}; rename one with AS"
            raise BridgeError("Validation", message, field="sql")
    rows: list[dict[str, Any]] = []
    size = 0
    while batch := result.fetchmany(BATCH):
        job.check()
        for found in batch:
            values = [_plain(value) for value in found]
            size += sum(len(name) + _size(v) for name, v in zip(names, values, strict=True))
            rows.append(dict(zip(names, values, strict=True)))
            if len(rows) > config.max_rows:
                message = f"more than {config.max_rows} rows (max_rows): ask for less with LIMIT"
                raise BridgeError("Limit", message)
            if size > config.max_bytes:
                message = f"more than {config.max_bytes} bytes (max_bytes): ask for less"
                raise BridgeError("Limit", message)
    return rows


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, builtin_types=(bytes,))


def _size(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return CELL + len(value)
    if isinstance(value, (list, dict)):
        return len(msgspec.msgpack.encode(value))
    return CELL
