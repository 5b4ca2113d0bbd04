"""Messages to people: a webhook and a mail server on loopback, and what never shows."""

from __future__ import annotations

import email
import json
import logging
from collections.abc import Callable, Iterator
from email.policy import default
from typing import Any

import pytest

from llmspell_bridges import BridgeError, load
from llmspell_bridges._threads import GivenUp, Job
from llmspell_bridges.llm import Secret
from llmspell_bridges.notify import _sending
from llmspell_bridges.notify._types import Message
from tests.bridges.host import Host
from tests.support.webhook import Mailbox, Webhook, mail_server, webhook

Send = Callable[..., None]

CANARY = "canary-token-4711"


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as running:
        yield running


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as running:
        yield running


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Send:
    """Sends messages, one after the other, to the target `ops` at an address."""

    def call(url: str | None, *messages: Any, policy: Any = None, **settings: Any) -> None:
        if url is None:
            monkeypatch.delenv("OPS_URL", raising=False)
        else:
            monkeypatch.setenv("OPS_URL", url)
        target = {"url_env": "OPS_URL", **settings}
        host = Host(load("notify", {"targets": {"ops": target}}), **(policy or {}))

        async def work() -> None:
            for message in messages:
                await host.call("notify.send", "ops", message)

        host.run(work)

    return call


def refusal(send: Send, *args: Any, **settings: Any) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        send(*args, **settings)
    assert CANARY not in str(caught.value)
    return caught.value


def test_a_webhook_gets_the_message(send: Send, hook: Webhook) -> None:
    message = {"title": "Backup", "body": "It is done.\nAll 3 of them.", "level": "success"}
    send(f"json://127.0.0.1:{hook.port}/{CANARY}", message, "plain")
    first, second = (json.loads(body) for body in hook.bodies)
    assert (first["title"], first["type"]) == ("Backup", "success")
    assert first["message"] == "It is done.\nAll 3 of them."
    assert (second["title"], second["message"]) == ("", "plain")


def test_a_mail_arrives_and_its_subject_stays_one_line(send: Send, mailbox: Mailbox) -> None:
    url = f"mailto://127.0.0.1:{mailbox.port}?from=bot@example.com&to=ops@example.com"
    send(url, {"title": "Hi\r\nBcc: thief@example.com", "body": "Look: {{env}}"})
    (mail,) = (email.message_from_bytes(data, policy=default) for data in mailbox.mails)
    assert mail["to"] == "ops@example.com"
    assert mail["subject"] == "Hi Bcc: thief@example.com"
    assert mail["bcc"] is None
    assert "Look: {{env}}" in str(mail)


@pytest.mark.attack("B18")
def test_the_address_shows_in_no_error_and_no_log(
    send: Send, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.status = 500
    error = refusal(send, f"json://user:{CANARY}@127.0.0.1:{hook.port}/{CANARY}", "x")
    assert (error.kind, error.retryable) == ("Provider", True)
    assert refusal(send, f"json://127.0.0.1:1/{CANARY}", "x").kind == "Provider"
    assert refusal(send, f"nonsense://{CANARY}", "x").kind == "Configuration"
    assert CANARY not in caplog.text
    assert CANARY not in repr(Secret(CANARY))


@pytest.mark.attack("B04")
def test_a_redirect_is_not_followed(send: Send, hook: Webhook) -> None:
    with webhook() as elsewhere:
        hook.status, hook.location = 302, f"http://127.0.0.1:{elsewhere.port}/"
        assert refusal(send, f"json://127.0.0.1:{hook.port}/", "x").kind == "Provider"
        assert elsewhere.bodies == []


@pytest.mark.parametrize(
    "url",
    [
        "json://hooks.example/x",
        "mailto://mail.example?from=a@example.com&to=b@example.com&mode=insecure",
    ],
)
def test_a_target_elsewhere_is_reached_by_tls(send: Send, url: str) -> None:
    assert refusal(send, url, "x").kind == "Policy"


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", False),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", False),
        ("jsons://hooks.example/x", False),
        ("mailtos://u:p@mail.example?from=a@example.com&to=b@example.com", False),
        ("json://127.0.0.1/x", False),
        ("json://hooks.example/x", True),
    ],
)
def test_services_are_known_to_be_plain_or_not(url: str, plain: bool) -> None:
    import apprise

    _sending.warm_up()
    service = apprise.Apprise.instantiate(url)
    assert service is not None
    assert _sending._is_plain(service, url) is plain


def test_messages_have_a_size_and_a_rate(send: Send, hook: Webhook) -> None:
    url = f"json://127.0.0.1:{hook.port}/"
    assert refusal(send, url, "x" * 11, max_body=10).field == "body"
    error = refusal(send, url, "a", "b", "c", per_minute=2)
    assert error.kind == "RateLimit"
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 60
    assert len(hook.bodies) == 2


def test_what_is_no_message_is_refused(send: Send) -> None:
    url = "json://127.0.0.1:1/"
    assert refusal(send, url, "").field == "message"
    assert refusal(send, url, {"title": "x"}).field == "body"
    assert refusal(send, url, {"body": "x", "level": "loud"}).field == "level"
    error = refusal(send, None, "x")
    assert (error.kind, error.message) == ("Configuration", "ops: OPS_URL is not set: export it")


@pytest.mark.attack("B27")
def test_a_call_that_is_given_up_sends_nothing(hook: Webhook) -> None:
    _sending.warm_up()
    job = Job()
    job.give_up()
    url = Secret(f"json://127.0.0.1:{hook.port}/")
    with pytest.raises(GivenUp):
        _sending.send(job, "ops", url, Message(body="x"), require_tls=True)
    assert hook.bodies == []


def test_targets_are_named_and_their_addresses_are_not() -> None:
    target = {"url_env": "CANARY_URL"}
    host = Host(load("notify", {"targets": {"ops": target, "dev": target}}))
    assert host.run(lambda: host.call("notify.targets")) == ["dev", "ops"]


def test_an_address_is_not_taken_from_the_config_file() -> None:
    with pytest.raises(BridgeError) as caught:
        load("notify", {"targets": {"ops": {"url": "json://x"}}})
    assert caught.value.kind == "Configuration"
