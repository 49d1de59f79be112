"""Letters to a mail server that others wrote (aiosmtpd): STARTTLS, a sign-in, what arrives."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Handler
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.relay.listeners import certificate, until
from tests.relay.notified import NAMES, asked, card_id, ended, organisation
from tests.relay.parties import Organisation
from tests.world import free_port

PASSWORD = "p" * 24


class Mailbox(Handler):
    """What was taken, and whether TLS was up."""

    def __init__(self) -> None:
        super().__init__()
        self.letters: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.letters.append(message)


class Server:
    """aiosmtpd that takes letters over TLS and after a sign-in alone."""

    def __init__(self, directory: Path) -> None:
        self.ca, context = certificate(directory / "mail")
        self.box = Mailbox()
        self.port = free_port()
        self.signed_in: list[str] = []
        self.controller = Controller(
            self.box, hostname="127.0.0.1", port=self.port, tls_context=context, require_starttls=True, auth_required=True,
            authenticator=self.authenticate,
        )  # fmt: skip

    def authenticate(self, _server: Any, session: Any, _envelope: Any, _how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        assert isinstance(session.ssl, dict), "nothing is said before TLS is up"
        good = (data.login, data.password) == (b"stillvault", PASSWORD.encode())
        self.signed_in += [data.login.decode()] if good else []
        return AuthResult(success=good, handled=good)  # not handled: the server itself says 535

    def settings(self, password: str = PASSWORD) -> dict[str, str]:
        host = f"localhost:{self.port}"
        return {
            "notify.egress": host, "notify.ca": str(self.ca), "notify.smtp_server": host, "notify.smtp_user": "stillvault",
            "notify.smtp_from": "vault@corp.example", "notify.smtp_password": password,
        }  # fmt: skip


@pytest.fixture
def server(directory: Path) -> Iterator[Server]:
    made = Server(directory)
    made.controller.start()
    yield made
    made.controller.stop(no_assert=True)


def waits(org: Organisation) -> bytes:
    org.admin.post("/v1/targets", {"kind": "smtp", "name": "post", "address": "alice@corp.example"}).ok()
    org.seal()
    return asked(org.client())


def test_a_letter_arrives_by_starttls_and_sign_in(directory: Path, server: Server) -> None:
    with organisation(directory, **server.settings()) as org:
        request = waits(org)
        until(lambda: ended(org, "smtp"))
        assert [row["detail"]["outcome"] for row in ended(org, "smtp")] == ["sent"]
    letter = server.box.letters[0]
    assert server.signed_in == ["stillvault"]
    assert (letter["X-MailFrom"], letter["X-RcptTo"]) == ("vault@corp.example", "alice@corp.example")
    assert (letter["Subject"], letter["Auto-Submitted"]) == ("1 release is waiting", "auto-generated")
    body = str(letter.get_payload())
    assert f"/pending/{card_id(request)}" in body
    assert [name for name in NAMES if name in f"{letter['Subject']}{body}"] == []


def test_a_wrong_password_is_said_and_not_tried_again(directory: Path, server: Server) -> None:
    with organisation(directory, **server.settings("wrong")) as org:
        waits(org)
        until(lambda: ended(org, "smtp"))
        assert [(row["detail"]["outcome"], row["detail"]["count"]) for row in ended(org, "smtp")] == [("failed: mail-login", 1)]
    assert server.box.letters == []


def test_the_tls_of_another_authority_gets_no_password(directory: Path, server: Server) -> None:
    other, _ = certificate(directory / "other")
    with organisation(directory, **{**server.settings(), "notify.ca": str(other)}) as org:
        waits(org)
        until(lambda: ended(org, "smtp"))
        assert ended(org, "smtp")[0]["detail"]["outcome"] == "failed: certificate"
    assert server.signed_in == []
