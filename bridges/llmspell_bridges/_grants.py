"""Which methods a policy's `allow_bridges` gives."""

from __future__ import annotations

from collections.abc import Iterable


def is_granted(method: str, grants: Iterable[str]) -> bool:
    """Whether one of `grants` gives `method`: a bridge gives all of its methods, a method itself.

    A method that makes an object (`llm.agent`) gives the object's methods (`llm.agent.run`).
    """
    return any(method == grant or method.startswith(f"{grant}.") for grant in grants)
