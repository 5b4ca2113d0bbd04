"""Vectors on a Qdrant server: owner and collection together name a collection there."""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from .._errors import BridgeError
from .._threads import Job
from ._config import StoreConfig
from ._filter import Condition
from ._sqlite import check_dimensions
from ._types import Collection, Match, Point, Query

if TYPE_CHECKING:
    from qdrant_client import QdrantClient, models

MEMORY: Final = ":memory:"
"""The address of a store in this process, which is gone with it."""

TIMEOUT: Final = 30
"""Seconds of one request. What was sent cannot be called back, so a call that is given up earlier
leaves a thread waiting that long."""

_NAMES: Final = uuid.UUID("0d8c0c6e-8a5b-4d56-9a3f-5d4f6c1c7c11")
"""Namespace of the identifiers that a point gets there: Qdrant takes numbers and UUIDs only."""


def connect(config: StoreConfig, key: str | None) -> QdrantClient:
    """A client of the server that the config names. Asks it nothing yet."""
    from qdrant_client import QdrantClient

    if config.qdrant == MEMORY:
        return QdrantClient(MEMORY)
    # No proxy of the environment: the address is the operator's, and so is the way to it.
    return QdrantClient(
        url=config.qdrant, api_key=key, timeout=TIMEOUT, check_compatibility=False, trust_env=False
    )


class QdrantStore:
    """One owner's collections."""

    def __init__(
        self, job: Job, client: QdrantClient, section: str, owner: str, config: StoreConfig
    ) -> None:
        digest = hashlib.sha256(owner.encode()).hexdigest()[:32]
        self._prefix = f"llmspell-{section}-{digest}-"
        self._job = job
        self._client = client
        self._config = config

    def upsert(self, name: str, points: list[Point]) -> int:
        """See `Store`. The quota is looked at before; runs at once may go over it by one call."""
        from qdrant_client import models

        with _explained():
            held = self.collections()
            if sum(c.count for c in held) + len(points) > self._config.max_items:
                message = f"more than {self._config.max_items} items (max_items)"
                raise BridgeError("Limit", message)
            due = next((c.dimensions for c in held if c.name == name), None)
            size = len(points[0].vector) if due is None else due
            for point in points:
                check_dimensions(name, len(point.vector), size)
            self._job.check()
            if due is None:
                vectors = models.VectorParams(size=size, distance=models.Distance.COSINE)
                self._client.create_collection(self._prefix + name, vectors_config=vectors)
            found = [
                models.PointStruct(
                    id=_identity(p.id),
                    vector=p.vector,
                    payload={"id": p.id, "text": p.text, "metadata": p.metadata},
                )
                for p in points
            ]
            self._client.upsert(self._prefix + name, found)
        return len(points)

    def search(self, name: str, query: Query) -> list[Match]:
        """See `Store`."""
        if query.words:
            message = "hybrid search needs the store of SQLite; the config names a Qdrant server"
            raise BridgeError("Configuration", message, field="hybrid")
        with _explained():
            if not self._client.collection_exists(self._prefix + name):
                return []
            check_dimensions(name, len(query.vector), self._dimensions(name))
            found = self._client.query_points(
                self._prefix + name,
                query=query.vector,
                query_filter=_filter(query.conditions),
                limit=query.limit,
                with_payload=True,
            )
        return [_match(point) for point in found.points]

    def delete(self, name: str, ids: list[str]) -> int:
        """See `Store`."""
        from qdrant_client import models

        with _explained():
            if not self._client.collection_exists(self._prefix + name):
                return 0
            wanted = [_identity(id_) for id_ in ids]
            there = self._client.retrieve(self._prefix + name, wanted, with_payload=False)
            self._job.check()
            points = models.PointIdsList(points=[point.id for point in there])
            if there:
                self._client.delete(self._prefix + name, points)
        return len(there)

    def delete_where(self, name: str, conditions: list[Condition]) -> int:
        """See `Store`."""
        from qdrant_client import models

        with _explained():
            count = self.count(name, conditions)
            self._job.check()
            if count:
                every = _filter(conditions) or models.Filter()
                self._client.delete(self._prefix + name, models.FilterSelector(filter=every))
        return count

    def count(self, name: str, conditions: list[Condition]) -> int:
        """See `Store`."""
        with _explained():
            if not self._client.collection_exists(self._prefix + name):
                return 0
            return self._client.count(self._prefix + name, _filter(conditions), exact=True).count

    def collections(self) -> list[Collection]:
        """See `Store`."""
        with _explained():
            there = [c.name for c in self._client.get_collections().collections]
            names = [n.removeprefix(self._prefix) for n in there if n.startswith(self._prefix)]
            return [
                Collection(name=n, dimensions=self._dimensions(n), count=self.count(n, []))
                for n in sorted(names)
            ]

    def drop(self, name: str) -> bool:
        """See `Store`."""
        with _explained():
            if not self._client.collection_exists(self._prefix + name):
                return False
            self._job.check()
            self._client.delete_collection(self._prefix + name)
        return True

    def _dimensions(self, name: str) -> int:
        vectors: Any = self._client.get_collection(self._prefix + name).config.params.vectors
        return int(vectors.size)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Say what went wrong, and never the address."""
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    try:
        yield
    except UnexpectedResponse as error:
        status = error.status_code or 0
        if status in (401, 403):
            message = "the Qdrant server refuses us: see api_key_env in the config"
            raise BridgeError("Configuration", message) from None
        message = f"the Qdrant server answered with status {status}"
        raise BridgeError("Provider", message, retryable=status >= 500) from None
    except ResponseHandlingException:
        message = "the Qdrant server cannot be reached"
        raise BridgeError("Network", message, retryable=True) from None


def _identity(id_: str) -> str:
    return str(uuid.uuid5(_NAMES, id_))


def _match(point: models.ScoredPoint) -> Match:
    found = point.payload or {}
    return Match(id=found["id"], score=point.score, text=found["text"], metadata=found["metadata"])


def _filter(conditions: list[Condition]) -> models.Filter | None:
    from qdrant_client import models

    if not conditions:
        return None
    must: list[models.Condition] = []
    must_not: list[models.Condition] = []
    for condition in conditions:
        key, value = f"metadata.{condition.key}", condition.value
        if condition.operator == "in":
            must.append(models.Filter(should=[_equals(key, v) for v in value]))
        elif condition.operator == "ne":
            must_not.append(_equals(key, value))
        elif condition.operator == "eq":
            must.append(_equals(key, value))
        else:
            limits = models.Range(**{condition.operator: value})
            must.append(models.FieldCondition(key=key, range=limits))
    return models.Filter(must=must, must_not=must_not)


def _equals(key: str, value: Any) -> models.FieldCondition:
    from qdrant_client import models

    if isinstance(value, (str, bool)):
        return models.FieldCondition(key=key, match=models.MatchValue(value=value))
    return models.FieldCondition(key=key, range=models.Range(gte=value, lte=value))
