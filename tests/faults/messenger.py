"""A messenger between the parties and the relay who says things more than once, and may keep one back.

With `thrice`, each POST but a sign-in goes to the relay three times, the repeats at once and together; `again` says everything
that ever passed once more, the last first. The party gets the answer to the first. What goes to `kept_back` waits for `let_go`.
`instead` holds by path what the next POSTs there get in place of an answer: a status, or 0 for a line that breaks.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.world import PATIENCE, World, free_port

Headers = dict[str, str]


@dataclass(frozen=True)
class Said:
    path: str
    body: bytes
    headers: Headers
    status: int  # of the first answer


class Messenger(ThreadingHTTPServer):
    """Runs in threads until `shut`."""

    daemon_threads = True

    def __init__(self, tls: Path, upstream: int, port: int) -> None:
        super().__init__(("127.0.0.1", port), Passage)
        self.upstream = upstream
        self.thrice = False
        self.kept_back = ""
        self.instead: dict[str, list[int]] = {}
        self.arrived, self.let_go = threading.Event(), threading.Event()
        self.said: list[Said] = []
        self.repeats: list[tuple[str, int]] = []
        self.trust = ssl.create_default_context(cafile=str(tls / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "relay.pem", tls / "relay.key")
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self.serve_forever, name="messenger")
        self._thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A party that went away in the middle."""

    def shut(self) -> None:
        self.let_go.set()
        self.shutdown()
        self._thread.join(PATIENCE)
        self.server_close()

    def repeat(self, said: Said) -> None:
        """Says it once more, on a connection of its own."""
        connection = http.client.HTTPSConnection("localhost", self.upstream, timeout=PATIENCE, context=self.trust)
        try:
            connection.request("POST", said.path, said.body, said.headers)
            answer = connection.getresponse()
            answer.read()
            self.repeats.append((said.path, answer.status))
        finally:
            connection.close()

    def again(self) -> None:
        for said in reversed(self.said[:]):
            self.repeat(said)


class Passage(BaseHTTPRequestHandler):
    """One party's connection, and the one to the relay that belongs to it."""

    protocol_version = "HTTP/1.1"
    server: Messenger

    def setup(self) -> None:
        super().setup()
        self.far = http.client.HTTPSConnection("localhost", self.server.upstream, timeout=PATIENCE, context=self.server.trust)

    def finish(self) -> None:
        self.far.close()
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._pass_on(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if statuses := self.server.instead.get(self.path):
            self._answer_instead(statuses.pop(0))
            return
        if self.server.kept_back and self.path == self.server.kept_back:
            self.server.arrived.set()
            self.server.let_go.wait(PATIENCE)
        status = self._pass_on(body)
        said = Said(self.path, body, self._headers(), status)
        self.server.said.append(said)
        if self.server.thrice and not self.path.startswith("/v1/login"):
            with ThreadPoolExecutor(2) as both:
                list(both.map(self.server.repeat, [said, said]))

    def _answer_instead(self, status: int) -> None:
        if not status:
            self.close_connection = True
            return
        body = b'{"type":"about:blank","title":"Conflict","status":409,"code":"conflict","detail":"one of them"}'
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _headers(self) -> Headers:
        own = ("host", "connection", "content-length")
        return {name: value for name, value in self.headers.items() if name.lower() not in own}

    def _pass_on(self, body: bytes | None) -> int:
        self.far.request(self.command, self.path, body, self._headers())
        answer = self.far.getresponse()
        stream = answer.headers.get_content_type() == "text/event-stream"
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        if stream:
            self.close_connection = True
            self.send_header("Connection", "close")
            self.end_headers()
            while block := answer.read1():
                self.wfile.write(block)
            return answer.status
        whole = answer.read()
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole)
        return answer.status


class Town(World):
    """A world whose relay is reached through the messenger."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.door = free_port()
        self.url = f"https://localhost:{self.door}"
        self.messenger: Messenger | None = None

    def start(self) -> None:
        super().start()
        if self.messenger is None:
            self.messenger = Messenger(self.data / "tls", self.port, self.door)

    @property
    def wire(self) -> Messenger:
        assert self.messenger is not None
        return self.messenger

    def stop(self) -> None:
        super().stop()
        if self.messenger is not None:
            self.messenger.shut()
