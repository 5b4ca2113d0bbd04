"""The `[http]` section of the config file. Secrets are never in it: only names of variables."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from msgspec import Meta, Struct, field, structs

from .._interface import BridgeConfig

EnvName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
HostName = Annotated[str, Meta(pattern=r"^[a-z0-9_.:-]+$")]
Port = Annotated[int, Meta(ge=1, le=65535)]
HeaderName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+$", max_length=64)]
Format = Annotated[str, Meta(pattern=r"^[!-~ ]*\{(?:base64)?\}[!-~ ]*$", max_length=200)]


class SecretConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A secret: `[http.secrets.NAME]`. Spells then write `auth = "NAME"`."""

    value_env: Annotated[EnvName, Meta(description="environment variable that holds it")]
    host: Annotated[HostName, Meta(description="the one host that it is sent to")]
    scheme: Annotated[Literal["https", "http"], Meta(description="how that host is reached")] = (
        "https"
    )
    port: Annotated[Port | None, Meta(description="its port; unset is the scheme's own")] = None
    prefix: Annotated[
        str, Meta(pattern=r"^/", description="what the path must begin with, name by name")
    ] = "/"
    header: Annotated[HeaderName, Meta(description="the header that carries it")] = "authorization"
    format: Annotated[
        Format, Meta(description="its value: {} is the secret, {base64} the same as base64")
    ] = "Bearer {}"


class HttpConfig(BridgeConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What spells may reach beyond the policy's domains, and how fast."""

    allow_private: Annotated[
        tuple[str, ...],
        Meta(description="addresses of your own network that are served: 127.0.0.1:8080, [::1]:80"),
    ] = ()
    ca_file: Annotated[
        str | None, Meta(description="certificates (PEM) that are trusted beside the public ones")
    ] = None
    max_sent: Annotated[
        int, Meta(ge=0, description="bytes that one run may send: addresses, headers, bodies")
    ] = 10 << 20
    """As much as one answer may bring. What leaves is what a stranger's spell could carry off."""
    rate: Annotated[float, Meta(gt=0, description="requests a second to one host")] = 10.0
    burst: Annotated[int, Meta(ge=1, description="requests at once before `rate` counts")] = 20
    """Both for all runs together: to the host they are one client."""
    secrets: Annotated[
        dict[str, SecretConfig], Meta(description="secrets by the names that spells use")
    ] = field(default_factory=dict)

    def part(self, parts: int) -> Self:
        """One part of the pace: together the parts ask a host as often as one would."""
        burst = max(1, self.burst // parts)
        return structs.replace(self, rate=self.rate / parts, burst=burst)
