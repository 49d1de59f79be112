"""One e-mail by the operator's mail server, in a thread of its own: smtplib waits, and the loop must not.

The thread is a daemon and its socket has a deadline, so that neither a stop of the relay nor another message waits for a server
that says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from functools import partial
from typing import Any

from stillvault.relay.notify.apart import apart, connected
from stillvault.relay.notify.egress import Egress, Unsent
from stillvault.relay.places import Allowed, allowed_host
from stillvault.relay.settings import Notify

MAIL_THREADS = 4  # at once; whoever comes later waits within the deadline of its own message


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent. `hello` is the name that the relay gives itself to the server."""

    to: str
    subject: str
    text: str
    hello: str


class Mailer:
    """The mail server of the settings; without one, nothing is sent."""

    def __init__(self, settings: Notify, egress: Egress, tls: ssl.SSLContext) -> None:
        self._settings, self._egress, self._tls = settings, egress, tls
        self._places = asyncio.Semaphore(MAIL_THREADS)

    def __bool__(self) -> bool:
        return bool(self._settings.smtp_server)

    async def send(self, letter: Letter) -> None:
        """Hands the letter to the server. Raises `Unsent`: as http.post, and `no-mail-server`, `mail-login`, `mail-NNN`."""
        if not self:
            raise Unsent("no-mail-server")
        server = allowed_host(self._settings.smtp_server)
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                addresses = await self._egress.addresses(server.clear, server.host, server.port)
                async with self._places:
                    attempt = partial(self._attempt, server, addresses, letter)
                    outcome = await apart("mail", lambda _: attempt(), self._settings.timeout_seconds)
        except TimeoutError:
            raise Unsent("timeout", retry=True) from None
        if outcome is not None:
            raise outcome

    def _attempt(self, server: Allowed, addresses: Sequence[str], letter: Letter) -> Unsent | None:
        """The whole exchange. Returns why it failed: an exception must not cross threads with its texts."""
        try:
            self._exchange(server, addresses, letter)
        except TimeoutError:
            return Unsent("timeout", retry=True)
        except ssl.SSLCertVerificationError:
            return Unsent("certificate")
        except (ssl.SSLError, smtplib.SMTPNotSupportedError):
            return Unsent("tls")
        except smtplib.SMTPAuthenticationError:
            return Unsent("mail-login")
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            return Unsent(f"mail-{int(code)}", retry=400 <= code < 500)
        except smtplib.SMTPResponseException as error:
            return Unsent(f"mail-{int(error.smtp_code)}", retry=400 <= error.smtp_code < 500)
        except smtplib.SMTPServerDisconnected:
            return Unsent("connect", retry=True)
        except (smtplib.SMTPException, ValueError):
            return Unsent("answer", retry=True)
        return None

    def _exchange(self, server: Allowed, addresses: Sequence[str], letter: Letter) -> None:
        settings = self._settings
        wrapped = self._tls if settings.smtp_tls == "tls" else None
        session = _Session(server.host, addresses, letter.hello, settings.timeout_seconds, wrapped)
        deadline = threading.Timer(settings.timeout_seconds, session.cut)  # smtplib's own limit is for each read
        deadline.daemon = True
        deadline.start()
        try:
            session.connect(server.host, server.port)
            if settings.smtp_tls == "starttls":
                session.starttls(context=self._tls)
            if settings.smtp_user:
                session.login(settings.smtp_user, settings.smtp_password)
            session.send_message(_written(letter, settings.smtp_from))
            with contextlib.suppress(smtplib.SMTPException, OSError):
                session.quit()  # it was taken: how the talk ends does not matter
        finally:
            deadline.cancel()
            session.close()


class _Session(smtplib.SMTP):
    """Speaks to the addresses that were looked at, under the server's name."""

    def __init__(self, host: str, addresses: Sequence[str], hello: str, seconds: float, wrapped: ssl.SSLContext | None) -> None:
        self._addresses, self._wrapped = addresses, wrapped
        self._raw: socket.socket | None = None
        super().__init__(local_hostname=hello, timeout=seconds)
        self._host = host  # what starttls verifies the certificate for

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        self._raw = connected(self._addresses, port, timeout)
        return self._raw if self._wrapped is None else self._wrapped.wrap_socket(self._raw, server_hostname=host)

    def cut(self) -> None:
        """Ends the connection under whoever waits on it."""
        for one in (self.sock, self._raw):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def _written(letter: Letter, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, letter.to, letter.subject
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{uuid.uuid4().hex}@{letter.hello}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(letter.text)
    return message
