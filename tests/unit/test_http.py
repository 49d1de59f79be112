"""The HTTPS client against servers that are not the relay: other certificates, redirects, cut and silly answers."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from stillvault.protocol.errors import RateLimited, Refused, StillvaultError, Unavailable, Usage
from stillvault.protocol.messages import Event, Health
from stillvault.transport.http import Relay, RelayRefused, fetch_ca, fingerprint_of, origin_of

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Authority:
    """A CA that signs what it is asked to."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.cert = self.sign(self.name, self.key.public_key(), [], ca=True)

    def sign(self, name: x509.Name, public: ec.EllipticCurvePublicKey, names: list[x509.GeneralName], *, ca: bool = False,
             ends: datetime.datetime = NOW + DAY) -> x509.Certificate:
        made = (x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(public)
                .serial_number(x509.random_serial_number()).not_valid_before(NOW - 3 * DAY).not_valid_after(ends)
                .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
                .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False))
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        return self.cert.public_bytes(serialization.Encoding.PEM)

    def context(self, directory: Path, host: str = "localhost", ends: datetime.datetime = NOW + DAY) -> ssl.SSLContext:
        """A server's context, with a fresh certificate for `host`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
        cert = self.sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), key.public_key(), names, ends=ends)
        file = directory / "server.pem"
        file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()) + cert.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


OURS = Authority("ours")
OTHERS = Authority("others")


@contextmanager
def server(context: ssl.SSLContext | None, answer: Callable[[bytes], bytes | None]) -> Iterator[tuple[str, list[bytes]]]:
    """Serves on a port of loopback; `answer` gets each request head and returns the raw answer, None to hang up. Yields the
    address and what arrived, in clear."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    over = threading.Event()

    def speak(link: socket.socket) -> None:
        try:
            with (context.wrap_socket(link, server_side=True) if context else link) as wrapped:
                wrapped.settimeout(10)
                while head := _head(wrapped):
                    heard.append(head)
                    given = answer(head)
                    if given is None:
                        return
                    wrapped.sendall(given)
        except OSError:
            pass
        finally:
            link.close()

    def serve() -> None:
        while not over.is_set():
            try:
                link, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=speak, args=(link,), daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://localhost:{listener.getsockname()[1]}", heard
    finally:
        over.set()
        thread.join()
        listener.close()


def _head(link: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = link.recv(4096)
        if not piece:
            return b""
        head += piece
    return head


def reply(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def ask(url: str, token: str = "", timeout: float = 30) -> Health:
    """One GET by a fresh client of our CA."""
    with closing(Relay(url, OURS.pem, timeout=timeout)) as relay:
        return relay.call("GET", "/livez", returns=Health, token=token)


GOOD = reply("200 OK", b'{"status":"ok"}')


def test_the_pinned_ca_is_enough_and_the_connection_is_kept(tmp_path: Path) -> None:
    with server(OURS.context(tmp_path), lambda _: GOOD) as (url, heard):
        relay = Relay(url, OURS.pem)
        assert relay.call("GET", "/livez", returns=Health).status == "ok"
        assert relay.call("GET", "/livez", returns=Health).status == "ok"
        relay.close()
    assert len(heard) == 2
    assert b"user-agent" not in heard[0].lower()


@pytest.mark.parametrize("kind", ["other ca", "wrong name", "expired", "self-signed"])
def test_another_certificate_is_refused_before_a_request_is_sent(tmp_path: Path, kind: str) -> None:  # N2
    context = {"other ca": lambda: OTHERS.context(tmp_path), "wrong name": lambda: OURS.context(tmp_path, "example.org"),
               "expired": lambda: OURS.context(tmp_path, ends=NOW - DAY),
               "self-signed": lambda: Authority("localhost").context(tmp_path)}[kind]()
    with server(context, lambda _: GOOD) as (url, heard):
        with pytest.raises(Refused) as refused:
            ask(url, "secret")
        assert refused.value.code == "tls"
        with pytest.raises(Refused):
            list(Relay(url, OURS.pem).stream("/v1/stream", token="secret", last_id=0))
    assert heard == []
    # Live: the same client reaches the right server.
    with server(OURS.context(tmp_path), lambda _: GOOD) as (url, heard):
        ask(url)
        assert len(heard) == 1


@pytest.mark.parametrize("url", ["http://localhost", "http://10.0.0.1:80", "ftp://localhost", "localhost", "//localhost", "https://",
                                 "https://u@localhost", "https://u:p@localhost", "https://localhost/path", "https://localhost?x=1",
                                 "https://localhost#x", "https://localhost:99999", "https://localhost:x", "", "https://[x",
                                 "https://a b", "https://a\nb", " https://localhost",
                                 "https://a..b", "https://\u00e4", "https://a%41", "https://-a",
                                 "https://" + 64 * "a", "https://" + 127 * "a." + "a"])
def test_only_https_and_only_a_host(url: str) -> None:  # N1
    with pytest.raises(Usage):
        Relay(url, OURS.pem)
    with pytest.raises(Usage):
        fetch_ca(url, "SHA256:x")


def test_no_plain_text_fallback() -> None:  # N1
    with server(None, lambda _: GOOD) as (url, heard):
        with pytest.raises(StillvaultError):
            ask(url, "secret", 5)
        assert not any(b"secret" in one for one in heard)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent", "200 OK"])
def test_redirects_are_not_followed(tmp_path: Path, status: str) -> None:  # N3
    with server(OURS.context(tmp_path), lambda _: GOOD) as (elsewhere, second):
        moved = reply(status, b"{}", f"Location: {elsewhere}/livez", f"Refresh: 0; url={elsewhere}/livez")
        with server(OURS.context(tmp_path), lambda _: moved) as (url, _):
            with pytest.raises(Unavailable) as refused:
                ask(url, "secret")
            assert refused.value.exit == 14
        assert second == []


def test_an_answer_that_is_cut_is_no_answer(tmp_path: Path) -> None:  # N8
    for length in range(len(GOOD)):
        with server(OURS.context(tmp_path), lambda _, length=length: GOOD[:length]) as (url, _):
            relay = Relay(url, OURS.pem, timeout=0.2)
            with pytest.raises(StillvaultError):
                relay.call("POST", "/v1/x", Health("ok"), returns=Health)
            relay.close()
        if length > 4:
            break  # the head: each further byte costs a silence; the body follows
    body = b'{"status":"ok"}'
    for length in range(len(body)):
        cut = reply("200 OK", body)[: -len(body)] + body[:length]

        def hang_up(_: bytes, cut: bytes = cut) -> bytes:
            return cut.replace(b"Content-Type", b"Connection: close\r\nContent-Type")

        with server(OURS.context(tmp_path), hang_up) as (url, _), pytest.raises(StillvaultError):
            ask(url, timeout=0.2)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"status":"ok","more":1}', b'{"status":1}', b"\xff\xfe",
                                  b"[" * 100000, b'{"status":"no"}'])
def test_an_answer_of_another_form_is_refused(tmp_path: Path, body: bytes) -> None:
    with server(OURS.context(tmp_path), lambda _: reply("200 OK", body)) as (url, _):
        with pytest.raises(Unavailable) as refused:
            ask(url)
        assert refused.value.code == "bad-answer"


def test_a_refusal_carries_the_relays_code_but_never_counts_as_a_no(tmp_path: Path) -> None:  # A15
    problem = {"type": "about:blank", "title": "t", "status": 403, "code": "denied", "detail": "d"}
    with server(OURS.context(tmp_path), lambda _: reply("403 Forbidden", json.dumps(problem).encode())) as (url, _):
        with pytest.raises(RelayRefused) as refused:
            ask(url)
        assert (refused.value.code, refused.value.status, refused.value.exit) == ("denied", 403, 14)
    hostile = json.dumps({**problem, "status": 429, "code": "\x1b[2J"}).encode()
    with server(OURS.context(tmp_path), lambda _: reply("429 Too Many", hostile)) as (url, _):
        with pytest.raises(RateLimited) as limited:
            ask(url)
        assert limited.value.code == "http-429"
    with server(OURS.context(tmp_path), lambda _: reply("500 Oops", b"<html>")) as (url, _):
        with pytest.raises(RelayRefused) as broken:
            ask(url)
        assert broken.value.code == "http-500"


def test_only_a_get_is_said_twice(tmp_path: Path) -> None:
    said: list[bytes] = []

    def once(head: bytes) -> bytes | None:
        said.append(head.split(b" ")[0])
        return GOOD if len(said) in (1, 3) else None  # the kept connection dies under the second request

    with server(OURS.context(tmp_path), once) as (url, _):
        with closing(Relay(url, OURS.pem)) as relay:
            relay.call("GET", "/a", returns=Health)
            relay.call("GET", "/b", returns=Health)
        assert said == [b"GET", b"GET", b"GET"]
    said.clear()
    with server(OURS.context(tmp_path), once) as (url, _):
        with closing(Relay(url, OURS.pem)) as relay:
            relay.call("GET", "/a", returns=Health)
            with pytest.raises(Unavailable):
                relay.call("POST", "/b", Health("ok"), returns=Health)
        assert said == [b"GET", b"POST"]


def test_a_stream_of_events(tmp_path: Path) -> None:
    body = (b": heartbeat\n\nid: 4\nevent: prompt\ndata: {\"id\":4,\"kind\":\"prompt\",\"oid\":\"x\"}\n\n"
            b"id: 5\nevent: state\ndata: {\"id\":5,\"kind\":\"state\"}\n\n")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    answers = iter([head + body, None])
    with server(OURS.context(tmp_path), lambda _: next(answers)) as (url, heard):
        stream = Relay(url, OURS.pem).stream("/v1/stream", token="t", last_id=3)
        assert next(stream) == Event(id=4, kind="prompt", oid="x")
        assert next(stream) == Event(id=5, kind="state")
        stream.close()
        assert b"Last-Event-ID: 3" in heard[0]


def test_the_ca_is_fetched_once_and_compared(tmp_path: Path) -> None:  # A20
    with server(OTHERS.context(tmp_path), lambda _: reply("200 OK", OURS.pem)) as (url, heard):
        assert fetch_ca(url, fingerprint_of(OURS.pem)) == OURS.pem
        assert heard[0].startswith(b"GET /ca.pem ")
        assert b"uthorization" not in heard[0]
        with pytest.raises(Refused) as refused:
            fetch_ca(url, fingerprint_of(OTHERS.pem))
        assert refused.value.code == "fingerprint"
    mangled = b"-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n"
    for bad in (b"", b"x", OURS.pem + OTHERS.pem, OURS.pem[:-40], mangled):
        with server(OTHERS.context(tmp_path), lambda _, bad=bad: reply("200 OK", bad)) as (url, _), pytest.raises(Refused):
            fetch_ca(url, fingerprint_of(OURS.pem))


def test_origins() -> None:
    assert origin_of("https://Localhost:8443/") == "https://localhost:8443"
    assert origin_of("https://vault.example.org:443") == "https://vault.example.org"
    assert origin_of("https://[::1]:8443") == "https://[::1]:8443"


def test_a_bearer_cannot_smuggle_a_header(tmp_path: Path) -> None:
    with server(OURS.context(tmp_path), lambda _: GOOD) as (url, heard):
        for token in ("a\r\nX: y", "a b", "é", "a\n"):
            with pytest.raises(StillvaultError):
                ask(url, token)
        assert heard == []
