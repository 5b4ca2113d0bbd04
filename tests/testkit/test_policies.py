"""The default policy and a narrow one, held to the contract of all."""

from __future__ import annotations

import pytest

from llmspell_supervisor import Policy
from llmspell_testkit import PolicyContract


class TestTheDefault(PolicyContract):
    @pytest.fixture
    def policy(self) -> Policy:
        return Policy()


class TestANarrowOne(PolicyContract):
    language = "javascript"

    @pytest.fixture
    def policy(self) -> Policy:
        return Policy(
            cpu=2.0,
            allow_bridges=("http.get", "fs"),
            allow_domain=("*.a.example",),
            allow_read=("/srv/a",),
            allow_models=("local/*",),
        )
