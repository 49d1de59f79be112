"""`stillvault console verify`: one flipped byte in a script, the page or the policy is found and named. A18."""

from __future__ import annotations

import http.client
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.relay.process import RelayProcess
from tests.world import World

PACKAGE = Path(__file__).resolve().parents[2] / "stillvault" / "console"
Headers = list[tuple[str, str]]
Tamper = Callable[[str, Headers, bytes], tuple[int, Headers, bytes]]


def files() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads((PACKAGE / "console.json").read_bytes())["files"]
    return found


SCRIPT = next(f"/{name}" for name in files() if name.endswith(".js") and name.startswith("assets/index"))


class Front:
    """The relay's own certificate on another port: what the relay answers, after `tamper`."""

    def __init__(self, relay: RelayProcess) -> None:
        self.tamper: Tamper = lambda _path, headers, body: (200, headers, body)
        self.relay, self.answers = relay, dict[str, tuple[Headers, bytes]]()
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, headers, body = front.tamper(self.path, *front.honest(self.path))
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() != "content-length":
                        self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(relay.data / "tls" / "relay.pem", relay.data / "tls" / "relay.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def honest(self, path: str) -> tuple[Headers, bytes]:
        """What the relay answers, asked once."""
        if path not in self.answers:
            upstream = http.client.HTTPSConnection("localhost", self.relay.port, context=self.relay.context())
            upstream.request("GET", path)
            answer = upstream.getresponse()
            assert answer.status == 200
            self.answers[path] = answer.getheaders(), answer.read()
            upstream.close()
        return self.answers[path]

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RelayProcess, Front, str]]:
    """A relay, a front before it, and the fingerprint of its CA."""
    relay = RelayProcess(tmp_path_factory.mktemp("console") / "data").start()
    front = Front(relay)
    fingerprint = relay.command("fingerprint", "--data", str(relay.data)).stdout.decode().strip()
    yield relay, front, fingerprint
    front.close()
    relay.stop()


@pytest.fixture
def nobody(tmp_path: Path) -> World:
    """Somebody without a home of their own."""
    return World(tmp_path)


def flip(body: bytes) -> bytes:
    """One bit in the middle."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def test_what_a_relay_serves_is_what_this_version_holds(
    served: tuple[RelayProcess, Front, str], nobody: World
) -> None:
    relay, front, fingerprint = served
    stranger = nobody.party("stranger")
    for url in (relay.url, front.url):
        done = stranger.json("console", "verify", url, "--fingerprint", fingerprint)
        assert (done["relay"], done["files"]) == (url, len(files()))
    assert "SHA256" not in stranger.fails(2, "console", "verify", relay.url)  # nothing is pinned here
    assert "untrusted: fingerprint" in stranger.fails(15, "console", "verify", relay.url, "--fingerprint", "SHA256:" + "A" * 43)


def policy(headers: Headers, change: Callable[[str], str]) -> Headers:
    return [(name, change(value) if name.lower() == "content-security-policy" else value) for name, value in headers]


def at(where: str, change: Callable[[Headers, bytes], tuple[int, Headers, bytes]]) -> Tamper:
    return lambda path, headers, body: change(headers, body) if path == where else (200, headers, body)


CASES: dict[str, tuple[Tamper, str, str]] = {
    "a byte of a script": (at(SCRIPT, lambda h, b: (200, h, flip(b))), "console-file", SCRIPT),
    "a byte of the page": (at("/index.html", lambda h, b: (200, h, flip(b))), "console-file", "/index.html"),
    "a byte of the page, at its entrance alone": (at("/", lambda h, b: (200, h, flip(b))), "console-file", "/"),
    "a byte of one screen": (at("/join", lambda h, b: (200, h, flip(b))), "console-file", "/join"),
    "a byte of the list": (at("/console.json", lambda h, b: (200, h, flip(b))), "console-file", "/console.json"),
    "a byte behind the end": (at(SCRIPT, lambda h, b: (200, h, b + b"\n")), "console-file", SCRIPT),
    "a byte of the policy": (
        at("/", lambda h, b: (200, policy(h, lambda text: text.replace("'none'", "'nonE'", 1)), b)), "console-header", "/",
    ),
    "a wider policy": (
        at(SCRIPT, lambda h, b: (200, policy(h, lambda text: text + "; connect-src *"), b)), "console-header", SCRIPT,
    ),
    "no policy": (
        at("/", lambda h, b: (200, [one for one in h if one[0].lower() != "content-security-policy"], b)), "console-header", "/",
    ),
    "a second policy": (
        at("/", lambda h, b: (200, [*h, ("content-security-policy", "default-src *")], b)), "console-header", "/",
    ),
    "another type": (
        at("/index.html", lambda h, b: (200, [(n, "text/javascript" if n == "content-type" else v) for n, v in h], b)),
        "console-header", "/index.html",
    ),
    "a page that goes on elsewhere": (
        at("/", lambda h, b: (200, [*h, ("refresh", "0; url=https://evil.example")], b)), "console-header", "/",
    ),
    "a file that is gone": (at(SCRIPT, lambda h, b: (404, h, b)), "console-missing", SCRIPT),
    "a redirect": (at("/", lambda h, b: (302, [*h, ("location", "/other")], b)), "console-missing", "/"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_named(served: tuple[RelayProcess, Front, str], nobody: World, case: str) -> None:  # A18
    _, front, fingerprint = served
    front.tamper, code, path = CASES[case]
    said = nobody.party("stranger").fails(15, "console", "verify", front.url, "--fingerprint", fingerprint)
    assert said.splitlines().count(f"untrusted: {code}") == 1
    assert f"({path})" in said


def test_the_pinned_ca_of_a_home_is_enough(small: World) -> None:
    alice = small.party("alice")
    assert alice.json("console", "verify", small.url)["files"] == len(files())
