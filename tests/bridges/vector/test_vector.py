"""Collections of vectors: the same of both stores, and what each has of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from llmspell_bridges import Bridge, BridgeError, load
from llmspell_bridges._threads import GivenUp, Job
from llmspell_bridges.vector import VectorConfig
from llmspell_bridges.vector._sqlite import SqliteStore
from llmspell_bridges.vector._types import Point
from tests.bridges.host import Host

PLANETS = [
    {"id": "mars", "vector": [1, 0.1, 0], "text": "the red planet", "metadata": {"n": 4, "ring": False}},
    {"id": "saturn", "vector": [0, 1, 0.1], "text": "rings of ice", "metadata": {"n": 6, "ring": True}},
    {"id": "moon", "vector": [0.9, 0, 0.4], "metadata": {"of": "earth", "size": 0.27}},
]  # fmt: skip

Run = Callable[..., Any]


@pytest.fixture(params=["sqlite", "qdrant"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Makes calls, one after the other, on one bridge that holds `PLANETS`."""

    def calls(*wanted: tuple[Any, ...], spell: str = "/a.lua", **settings: Any) -> list[Any]:
        where = {"qdrant": ":memory:"} if request.param == "qdrant" else {}
        bridge = load("vector", {"directory": str(tmp_path), **where, **settings})
        host = Host(bridge)

        async def work() -> list[Any]:
            if not settings:
                await host.call("vector.upsert", "sky", PLANETS)
            host.context = msgspec.structs.replace(host.context, identity=spell)
            return [await host.call(f"vector.{method}", *args) for method, *args in wanted]

        return host.run(work)

    return calls


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [match["id"] for match in found]


def refusal(run: Run, *call: Any, **settings: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        run(call, **settings)
    return caught.value


def same_spell(calls: Run, *wanted: tuple[Any, ...]) -> Any:
    return calls(*wanted, spell="/spells/test.lua")


def test_the_most_alike_comes_first(run: Run) -> None:
    (found,) = same_spell(run, ("search", "sky", {"vector": [1, 0, 0], "limit": 2}))
    assert ids(found) == ["mars", "moon"]
    assert found[0]["score"] == pytest.approx(0.995, abs=0.001)
    assert found[0]["text"] == "the red planet"
    assert found[0]["metadata"] == {"n": 4, "ring": False}
    assert found[1]["text"] is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"n": 4}, ["mars"]),
        ({"n": {"gte": 4}}, ["mars", "saturn"]),
        ({"n": {"gt": 4, "lte": 6}}, ["saturn"]),
        ({"n": {"lt": 5}}, ["mars"]),
        ({"n": {"in": [6, 7]}}, ["saturn"]),
        ({"ring": True}, ["saturn"]),
        ({"of": "earth", "size": 0.27}, ["moon"]),
        ({"of": {"ne": "earth"}}, ["mars", "saturn"]),
        ({"of": "earth' OR 1=1"}, []),
        ({"nothing": 1}, []),
    ],
)
def test_filters_look_at_metadata(run: Run, wanted: Any, found: list[str]) -> None:
    query = {"vector": [1, 0, 0], "filter": wanted}
    matches, count = same_spell(run, ("search", "sky", query), ("count", "sky", wanted))
    assert sorted(ids(matches)) == found
    assert count == len(found)


def test_items_are_replaced_counted_deleted_and_dropped(run: Run) -> None:
    mars = {"id": "mars", "vector": [0, 0, 1], "metadata": {"new": True}}
    answers = same_spell(
        run,
        ("count", "sky"),
        ("upsert", "sky", mars),
        ("count", "sky"),
        ("search", "sky", {"vector": [0, 0, 1], "limit": 1}),
        ("delete", "sky", ["mars", "pluto"]),
        ("delete", "sky", "pluto"),
        ("list",),
        ("drop", "sky"),
        ("drop", "sky"),
        ("list",),
        ("search", "sky", {"vector": [1, 0, 0]}),
    )
    assert answers[:3] == [3, 1, 3]
    assert answers[3][0]["metadata"] == {"new": True}
    assert answers[4:6] == [1, 0]
    assert answers[6] == [{"name": "sky", "dimensions": 3, "count": 2}]
    assert answers[7:] == [True, False, [], []]


@pytest.mark.attack("B29")
def test_a_spell_does_not_see_the_collections_of_another_one(run: Run) -> None:
    answers = run(
        ("list",),
        ("count", "sky"),
        ("search", "sky", {"vector": [1, 0, 0]}),
        ("delete", "sky", "mars"),
        ("drop", "sky"),
        spell="/other/test.lua",
    )
    assert answers == [[], 0, [], 0, False]


def test_what_does_not_fit_is_refused(run: Run) -> None:
    for call, field in (
        (("search", "sky", {"vector": [1, 0]}), "vector"),
        (("upsert", "sky", {"id": "x", "vector": [1, 0]}), "vector"),
        (("upsert", "sky", {"id": "x", "vector": [0, 0, 0]}), "vector"),
        (("upsert", "sky", [{"id": "x"}]), "items[0]"),
        (("search", "sky", {}), "text"),
        (("search", "sky", {"vector": [1, 0, 0], "hybrid": True}), "text"),
        (("search", "../sky", {"vector": [1, 0, 0]}), "collection"),
        (("count", "sky", {"a.b": 1}), "filter"),
        (("count", "sky", {"a": {"near": 1}}), "filter.a"),
        (("count", "sky", {"a": {"gt": "x"}}), "filter.a"),
        (("count", "sky", {"a": {"in": []}}), "filter.a"),
        (("count", "sky", {"a": [1]}), "filter.a"),
    ):
        with pytest.raises(BridgeError) as caught:
            same_spell(run, call)
        assert (caught.value.kind, caught.value.field) == ("Validation", field)


def test_metadata_is_small_and_bytes_in_it_are_text(run: Run) -> None:
    big = {"id": "x", "vector": [1, 0, 0], "metadata": {"a": "x" * 20_000}}
    error = refusal(run, "upsert", "sky", big)
    assert (error.kind, error.field) == ("Limit", "items[0].metadata")
    raw = {"id": "x", "vector": [1, 1, 1], "metadata": {"a": b"abc"}}
    _, (found, *_) = same_spell(
        run, ("upsert", "sky", raw), ("search", "sky", {"vector": [1, 1, 1]})
    )
    assert found["metadata"] == {"a": "YWJj"}


def test_matches_larger_than_an_answer_are_a_limit(tmp_path: Path) -> None:
    host = Host(load("vector", {"directory": str(tmp_path)}), max_response=5000)

    async def work() -> None:
        for number in range(3):
            item = {"id": str(number), "vector": [1], "text": "x" * 2000}
            await host.call("vector.upsert", "c", item)
        assert len(await host.call("vector.search", "c", {"vector": [1], "limit": 2})) == 2
        with pytest.raises(BridgeError, match="fewer") as caught:
            await host.call("vector.search", "c", {"vector": [1]})
        assert caught.value.field == "limit"

    host.run(work)


def test_an_owner_may_keep_so_many_items(run: Run) -> None:
    assert refusal(run, "upsert", "sky", PLANETS, max_items=2).kind == "Limit"
    two = run(("upsert", "a", PLANETS[0]), ("upsert", "b", PLANETS[1]), max_items=2)
    assert two == [1, 1]


def test_a_text_becomes_a_vector_of_the_local_model(tmp_path: Path) -> None:
    host = Host(load("vector", {"directory": str(tmp_path)}))
    texts = {
        "cat": "Cats purr when they are content.",
        "tax": "The tax return is due in April.",
        "sea": "Tides follow the moon around the earth.",
    }

    async def work() -> Any:
        items = [{"id": id_, "text": text} for id_, text in texts.items()]
        assert await host.call("vector.upsert", "facts", items) == 3
        assert (await host.call("vector.list"))[0]["dimensions"] == 384
        return await host.call("vector.search", "facts", "When do I have to pay the state?")

    assert ids(host.run(work))[0] == "tax"


def test_a_hybrid_search_finds_a_word_that_likeness_ranks_low(tmp_path: Path) -> None:
    host = Host(load("vector", {"directory": str(tmp_path)}))
    items = [{"id": f"n{i}", "vector": [1, i / 100], "text": f"plain number {i}"} for i in range(9)]
    items.append({"id": "rare", "vector": [0, 1], "text": "the serial XK-4711-Z of the pump"})

    async def work() -> Any:
        await host.call("vector.upsert", "parts", items)
        query = {"text": 'XK-4711-Z" OR "a', "vector": [1, 0], "limit": 2}
        alike = await host.call("vector.search", "parts", {**query, "text": None})
        return ids(alike), ids(await host.call("vector.search", "parts", {**query, "hybrid": True}))

    alike, hybrid = host.run(work)
    assert "rare" not in alike
    assert "rare" in hybrid


def test_hybrid_search_of_a_server_is_refused_and_not_ignored() -> None:
    host = Host(load("vector", {"qdrant": ":memory:"}))
    query = {"text": "a", "vector": [1, 0], "hybrid": True}
    with pytest.raises(BridgeError) as caught:
        host.run(lambda: host.call("vector.search", "x", query))
    assert (caught.value.kind, caught.value.field) == ("Configuration", "hybrid")


@pytest.mark.attack("B29")
def test_a_file_does_not_outgrow_its_limit(tmp_path: Path) -> None:
    host = Host(load("vector", {"directory": str(tmp_path), "max_total": 1024 * 1024}))

    async def work() -> None:
        for number in range(40):
            item = {"id": str(number), "vector": [1], "text": "word " * 12_000}
            await host.call("vector.upsert", "big", item)

    with pytest.raises(BridgeError, match="max_total") as caught:
        host.run(work)
    assert caught.value.kind == "Limit"
    assert sum(f.stat().st_size for f in tmp_path.glob("*.db")) <= 1024 * 1024


@pytest.mark.attack("B27")
def test_a_change_whose_call_is_given_up_is_not_kept(tmp_path: Path) -> None:
    job = Job()
    store = SqliteStore(job, str(tmp_path), "vector", "me", VectorConfig())
    store.upsert("c", [Point("a", [1.0], None, {})])
    job.give_up()
    with pytest.raises(GivenUp):
        store.upsert("c", [Point("b", [1.0], None, {})])
    store = SqliteStore(Job(), str(tmp_path), "vector", "me", VectorConfig())
    assert store.count("c", []) == 1


def test_a_server_elsewhere_needs_tls_its_key_and_to_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("QDRANT_KEY", raising=False)
    for settings, kind in (
        ({"qdrant": "http://qdrant.example:6333"}, "Policy"),
        ({"qdrant": "http://127.0.0.1:1", "api_key_env": "QDRANT_KEY"}, "Configuration"),
        ({"qdrant": "http://127.0.0.1:1"}, "Network"),
    ):
        host = Host(load("vector", settings))
        with pytest.raises(BridgeError) as caught:
            host.run(lambda host=host: host.call("vector.list"))  # type: ignore[misc]
        assert caught.value.kind == kind


def test_a_model_of_llm_needs_that_bridge() -> None:
    bridge: Bridge = load("vector", {"embedding": "test/embedder", "qdrant": ":memory:"})
    host = Host(bridge)
    with pytest.raises(BridgeError, match="needs the bridge llm") as caught:
        host.run(lambda: host.call("vector.search", "x", "words"))
    assert caught.value.kind == "Configuration"
