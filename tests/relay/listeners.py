"""What a relay's messages go to in the tests: HTTP and SMTP listeners on loopback that write down what came."""

from __future__ import annotations

import base64
import contextlib
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from stillvault.relay import tls
from tests.relay.process import PATIENCE


def until(found: Callable[[], Any]) -> Any:
    """Looks again and again until something is found."""
    end = time.monotonic() + PATIENCE
    while not (what := found()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return what


def closed_port() -> socket.socket:
    """A bound socket that does not listen: connections are refused until its `listen` is called."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder


@dataclass(frozen=True)
class Arrived:
    """One POST."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def all(self) -> str:
        return f"{self.path}\n{self.headers}\n{self.body.decode('latin-1')}"


@dataclass
class Listener:
    """Answers `statuses` in turn, the last one for ever. While `gate` is not set it takes a request and says nothing."""

    statuses: list[int] = field(default_factory=lambda: [200])
    location: str = ""
    gate: threading.Event = field(default_factory=threading.Event)
    arrived: list[Arrived] = field(default_factory=list)
    port: int = 0

    def answer(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


def certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """A CA's file, and a server's context with a certificate of it for localhost."""
    directory.mkdir(exist_ok=True)
    chain, key = tls.prepare(directory, ["localhost", "127.0.0.1"], datetime.datetime.now(datetime.UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return directory / "tls" / "ca.pem", context


@contextlib.contextmanager
def listening(
    *statuses: int,
    location: str = "",
    silent: bool = False,
    context: ssl.SSLContext | None = None,
    holder: socket.socket | None = None,
) -> Iterator[Listener]:
    listener = Listener(list(statuses) or [200], location)
    if not silent:
        listener.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.arrived.append(Arrived(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            listener.gate.wait(PATIENCE)
            self.send_response(listener.answer())
            if listener.location:
                self.send_header("Location", listener.location)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # whoever asked has gone

    server = Server(("127.0.0.1", 0), Handler, bind_and_activate=holder is None)
    if holder is not None:
        server.socket.close()
        server.socket = holder
        server.server_address = holder.getsockname()
        server.server_activate()
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    listener.port = server.socket.getsockname()[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield listener
    finally:
        listener.gate.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class MailServer:
    """Letters as they came, and what was said for AUTH."""

    letters: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    hello: list[str] = field(default_factory=list)
    login: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    port: int = 0
    refuse: int = 0  # the answer to RCPT, if not 250


@contextlib.contextmanager
def mail_server(context: ssl.SSLContext | None = None, refuse: int = 0) -> Iterator[MailServer]:
    """RFC 5321 as far as a submission needs it; with a context it offers STARTTLS."""
    server = MailServer(refuse=refuse)
    listening_socket = socket.create_server(("127.0.0.1", 0))
    server.port = listening_socket.getsockname()[1]

    def serve() -> None:
        while True:
            try:
                connection, _ = listening_socket.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                _talk(server, connection, context)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        listening_socket.shutdown(socket.SHUT_RDWR)
        listening_socket.close()
        thread.join()


def _talk(server: MailServer, connection: socket.socket, context: ssl.SSLContext | None) -> None:
    connection.settimeout(PATIENCE)
    secured, file = False, connection.makefile("rwb")

    def say(line: str) -> None:
        file.write(line.encode() + b"\r\n")
        file.flush()

    say("220 mail.test ESMTP")
    while line := file.readline().decode().strip():
        verb, _, rest = line.partition(" ")
        match verb.upper():
            case "EHLO":
                server.hello.append(rest)
                say("250-mail.test")
                say("250-STARTTLS" if context and not secured else "250-8BITMIME")
                say("250 AUTH PLAIN")
            case "STARTTLS" if context:
                say("220 go on")
                connection = context.wrap_socket(connection, server_side=True)
                file, secured = connection.makefile("rwb"), True
            case "AUTH":
                server.login.append(base64.b64decode(rest.partition(" ")[2]).decode())
                say("235 welcome")
            case "RCPT":
                server.recipients.append(rest)
                say(f"{server.refuse} no" if server.refuse else "250 ok")
            case "DATA":
                say("354 go on")
                letter = b""
                while (one := file.readline()) != b".\r\n":
                    letter += one
                server.letters.append(letter.decode())
                server.encrypted.append(secured)
                say("250 taken")
            case "QUIT":
                say("221 bye")
                break
            case _:
                say("250 ok")
    connection.close()
