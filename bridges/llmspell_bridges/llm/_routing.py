"""Which model answers, and where: decided here and nowhere else.

1. the operator's `--model`, 2. the config's alias for the name that the spell gave, 3. that name
itself, 4. the config's `default_model`. Embeddings skip the first, which names a chat model, and
end with `embed_model`. There is no fall-back: what cannot be used is an error that says why.
"""

from __future__ import annotations

import asyncio
import os
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from msgspec import Struct

from .._domains import is_loopback
from .._errors import BridgeError
from .._secret import Secret, hidden
from ._config import ProviderConfig
from ._types import ModelInfo, ModelsResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._context import CallContext, PolicyView
    from ..local import Endpoint
    from ._config import LlmConfig
    from ._types import CompletionRequest, EmbedRequest

LOCAL: Final = "local"
"""The provider that is this machine's own model: `local`, or `local/NAME`."""

_NO_KEY: Final = Secret("none")
"""For servers that ask for no key: the client insists on sending one, and it must not be another
provider's."""

_NAME: Final = re.compile(r"(?!.*(\.\.|//|:/))[A-Za-z0-9][A-Za-z0-9._:@+/-]{0,199}", re.ASCII)
"""What a spell may call a model. litellm puts names into addresses, and for some providers takes an
address for a name: `huggingface/https://...` would send the operator's key there."""

Source = Literal["operator", "alias", "spell", "default"]


class Choice(Struct, frozen=True):
    """A model, and who chose it."""

    model: str
    """As the operator or the spell writes it: `gpt-4o`, `anthropic/claude-3-opus`, `local`."""
    source: Source
    asked: str | None = None
    """The name that the spell gave, where an alias stands for it."""


class Route(Struct, frozen=True, kw_only=True):
    """Where a request goes."""

    name: str
    """`provider/model`, for errors."""
    model: str
    """As litellm takes it."""
    provider: str
    api_base: str | None = None
    key: Secret | None = None
    """None: litellm finds the provider's key in the environment, where it has been seen."""
    headers: dict[str, str] = {}
    timeout: float
    max_retries: int
    own: bool = False
    """A server of the operator's own, or the local model: not on litellm's price list."""

    def __repr__(self) -> str:
        return f"Route({self.name!r}, key={self.key})"  # headers may be secrets

    @property
    def hidden(self) -> tuple[str, ...]:
        """What no answer and no error may show."""
        return hidden(self.key, self.headers)

    def options(self) -> dict[str, Any]:
        """The part of litellm's arguments that says where."""
        options: dict[str, Any] = {"model": self.model, "max_retries": 0}
        if self.api_base is not None:
            options["api_base"] = self.api_base
        if self.key is not None:
            options["api_key"] = self.key.reveal()
        if self.headers:
            options["extra_headers"] = self.headers
        return options


def choose(
    config: LlmConfig, ctx: CallContext, request: CompletionRequest | EmbedRequest | None, *,
    embed: bool = False,
) -> Choice:  # fmt: skip
    """Which model answers a request (or a request that names none). Raises `BridgeError`."""
    if ctx.model is not None and not embed:
        return Choice(config.aliases.get(ctx.model, ctx.model), "operator")
    asked = _asked(request)
    if asked in config.aliases:
        return Choice(config.aliases[asked], "alias", asked)
    if asked is not None:
        return Choice(asked, "spell")
    default = config.embed_model if embed else config.default_model
    if default is None:
        key = "embed_model" if embed else "default_model"
        how = "name one in the call" if embed else "name one in the call, run with --model MODEL"
        message = f"no model is named: {how}, or set {key} under [llm] in the config file"
        raise BridgeError("Configuration", message, field="model")
    return Choice(config.aliases.get(default, default), "default")


def _asked(request: CompletionRequest | EmbedRequest | None) -> str | None:
    if request is None or request.model is None:
        return None
    name = request.model
    if request.provider is not None and not name.startswith(f"{request.provider}/"):
        name = f"{request.provider}/{name}"
    if not _NAME.fullmatch(name):
        raise BridgeError("Validation", "model: not a legal name for a model", field="model")
    return name


class Router:
    """Turns a choice into a route, under a run's policy."""

    def __init__(
        self, config: LlmConfig, endpoint: Callable[[str | None], Awaitable[Endpoint]]
    ) -> None:
        """`endpoint` starts the local model with a name (the usual one, for None)."""
        self._config = config
        self._endpoint = endpoint

    async def route(self, choice: Choice, policy: PolicyView, litellm: Any) -> Route:
        """Where the chosen model is. Raises `BridgeError`: `Policy` or `Configuration`.

        Starts the local model's process, if that is what was chosen.
        """
        provider, _, model = choice.model.partition("/")
        if provider == LOCAL:
            permit(choice, policy, {choice.model, LOCAL})
            return await self._route_local(model)
        own = self._config.providers.get(provider) if model else None
        if own is not None and own.base_url is not None and not _is_known(provider, litellm):
            permit(choice, policy, {choice.model})
            return _route_own(provider, model, own, policy)
        # In a thread: for some providers (ollama) litellm asks the server about the model.
        return await asyncio.to_thread(self._route_known, choice, policy, litellm)

    def _route_known(self, choice: Choice, policy: PolicyView, litellm: Any) -> Route:
        try:
            model, provider, _, base = litellm.get_llm_provider(choice.model)
        except litellm.BadRequestError:
            raise _unknown(choice.model) from None
        name = f"{provider}/{model}"
        permit(choice, policy, {choice.model, name})
        own = self._config.providers.get(provider, ProviderConfig())
        key = _key_of(provider, own)
        if key is None:
            missing = _missing(litellm, name, has_base=bool(own.base_url or base))
            if missing and own.base_url:
                key = _NO_KEY
            elif missing:
                raise _no_key(", ".join(missing), name)
        if own.base_url is None:
            _require_price(choice, policy, litellm, name)
        actual = own.base_url or _environment_base(provider) or base
        _require_tls(provider, actual, policy)
        return Route(
            name=name, model=name, provider=provider, api_base=own.base_url, key=key,
            timeout=own.timeout, max_retries=own.max_retries,
        )  # fmt: skip

    async def _route_local(self, model: str) -> Route:
        found = await self._endpoint(model or None)
        own = self._config.providers.get(LOCAL, ProviderConfig())
        return Route(
            name=f"{LOCAL}/{found.model}", model=f"openai/{found.model}", provider=LOCAL,
            api_base=found.base_url, key=Secret(found.api_key), headers=found.headers,
            timeout=own.timeout, max_retries=own.max_retries, own=True,
        )  # fmt: skip


def permit(choice: Choice, policy: PolicyView, names: set[str]) -> None:
    """Refuse a model of which no name is granted. Raises `BridgeError` of kind `Policy`.

    The operator's own `--model` needs no grant; everything else does.
    """
    if choice.source == "operator":
        return
    if choice.asked is not None:
        names = names | {choice.asked}
    if not _is_granted(names, policy.allow_models):
        granted = ", ".join(policy.allow_models) or "none"
        message = f"the model {choice.model} is not granted to this spell (granted: {granted})"
        raise BridgeError("Policy", message, field="model")


def _require_price(choice: Choice, policy: PolicyView, litellm: Any, name: str) -> None:
    """Refuse what a spell picked and nobody else named, if `max_cost` could not bound it."""
    explicit = tuple(p for p in policy.allow_models if p != "*")
    if choice.source != "spell" or _is_granted({choice.model, name}, explicit):
        return
    try:
        litellm.get_model_info(name)
    except Exception:  # noqa: BLE001 - litellm raises several classes for "not listed"
        message = (
            f"the price of {name} is not known, so max_cost cannot bound it: "
            f"grant it by name with --allow-model {name}, or run with --model {name}"
        )
        raise BridgeError("Policy", message, field="model") from None


def _route_own(provider: str, model: str, own: ProviderConfig, policy: PolicyView) -> Route:
    _require_tls(provider, own.base_url, policy)
    return Route(
        name=f"{provider}/{model}", model=f"openai/{model}", provider=provider,
        api_base=own.base_url, key=_key_of(provider, own) or _NO_KEY,
        timeout=own.timeout, max_retries=own.max_retries, own=True,
    )  # fmt: skip


def _is_known(provider: str, litellm: Any) -> bool:
    return provider in {getattr(p, "value", p) for p in litellm.provider_list}


def _key_of(provider: str, own: ProviderConfig) -> Secret | None:
    if own.api_key_env is None:
        return None
    value = os.environ.get(own.api_key_env)
    if not value:
        raise _no_key(own.api_key_env, provider)
    return Secret(value)


def _missing(litellm: Any, name: str, *, has_base: bool) -> list[str]:
    found = litellm.validate_environment(model=name)
    if found["keys_in_environment"]:
        return []
    # Asked for as if required, also where litellm knows the address (ollama).
    return [n for n in found["missing_keys"] if not (has_base and n.endswith("_API_BASE"))]


def _environment_base(provider: str) -> str | None:
    """The address that litellm takes from the environment for want of a configured one."""
    prefix = provider.upper()
    return os.environ.get(f"{prefix}_BASE_URL") or os.environ.get(f"{prefix}_API_BASE")


def _require_tls(provider: str, base: str | None, policy: PolicyView) -> None:
    if base is None or not policy.require_tls:
        return
    parts = urlsplit(base)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        message = f"{provider}: {parts.hostname} is reached by plain http, and require_tls is on"
        raise BridgeError("Policy", message)


def _no_key(variables: str, name: str) -> BridgeError:
    message = f"{name}: {variables} is not set: export it, or run with --model local"
    return BridgeError("Configuration", message)


def _unknown(model: str) -> BridgeError:
    message = (
        f"nobody is known to serve the model '{model}': write PROVIDER/{model.rpartition('/')[2]}, "
        "or give the name a meaning under [llm.aliases] in the config file"
    )
    return BridgeError("Configuration", message, field="model")


def models(config: LlmConfig, ctx: CallContext) -> ModelsResponse:
    """What a spell may name. Patterns are matched by the names as they are written."""
    found = [ModelInfo(name=n, model=m, source="alias") for n, m in sorted(config.aliases.items())]
    found.append(ModelInfo(name=LOCAL, model=LOCAL, source="local"))
    if config.default_model is not None:
        found.append(
            ModelInfo(name=config.default_model, model=config.default_model, source="default")
        )
    granted = [m for m in found if _is_granted({m.name, m.model}, ctx.policy.allow_models)]
    if ctx.model is not None:
        granted.insert(0, ModelInfo(name=ctx.model, model=ctx.model, source="operator"))
    default = ctx.model or config.default_model
    return ModelsResponse(default=default, allow=list(ctx.policy.allow_models), models=granted)


def _is_granted(names: set[str], patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(n, p) for n in names for p in patterns)
