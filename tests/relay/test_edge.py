"""Malformed anything gets a 4xx, never a 5xx, never an echo, and the relay lives on. C3, C12, C13, C15, N4, N6, N7, R12, R13."""

# ruff: noqa: E501  a line a case

from __future__ import annotations

import json
import random
from collections.abc import Iterator

import pytest

from tests.relay.parties import Organisation, wire
from tests.relay.process import RelayProcess
from tests.relay.raw import exchange, status

CANARY = "canary-7f3a9"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Organisation]:
    """One relay for the whole file: what is refused changes nothing."""
    relay = RelayProcess(tmp_path_factory.mktemp("edge") / "data").start()
    yield Organisation(relay).create()
    assert relay.process is not None
    assert relay.process.poll() is None, "the relay died"
    assert relay.stop() == 0
    assert CANARY.encode() not in b"".join(relay.stderr)  # C13


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


BODIES: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "array": b"[]",
    "text": b'"x"',
    "not utf-8": b'{"login":"\xff"}',
    "utf-16": '{"a":1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "lone surrogate": b'{"person":"\\ud800"}',
    "trailing bytes": b"{} {}",
    "duplicate key": b'{"person":"a","person":"b"}',
    "escaped duplicate key": b'{"person":"a","\\u0070erson":"b"}',
    "unknown field": b'{"approved":true}',  # C6
    "null field": b'{"person":null}',
    "depth 33": deep(33),
    "depth 1001": deep(1001),
    "depth 100000": deep(100_000),
    "arrays in arrays": b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "never closed": b"{" * 100_000,
    "100000 keys": b"{" + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
    "2^53": b'{"a":9007199254740992}',
    "2^63": b'{"a":9223372036854775808}',
    "2^64": b'{"a":18446744073709551616}',
    "5000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "100000 digits": b'{"a":' + b"9" * 100_000 + b"}",
    "minus zero": b'{"a":-0}',
    "negative": b'{"a":-1}',
    "float": b'{"a":1.0}',
    "1e400": b'{"a":1e400}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "NUL in a string": b'{"person":"a\\u0000"}',
    "raw NUL": b'{"person":"a\x00"}',
    "control": b'{"person":"a\nb"}',
    "canary": json.dumps({"person": CANARY, CANARY: 1}).encode(),
    "wrong type": b'{"login":7}',
    "msgpack": b"\x81\xa5login\x01",
    "string of brackets": b'{"person":"' + b"[{" * 40 + b'"}',
}


@pytest.mark.parametrize("path", ["/v1/login", "/v1/decisions", "/v1/login/nonce"])
@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body(served: Organisation, name: str, path: str) -> None:
    answer = served.relay.call("POST", path, raw=BODIES[name])
    assert 400 <= answer.status < 500, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert CANARY.encode() not in answer.body  # C13
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize(
    "body", [b"[" + b"1," * 900_000 + b"1]", b"[" + b'{"a":1},' * 200_000 + b"{}]", b'{"a":' + b"[]" * 900_000 + b"}"]
)
def test_a_body_of_a_million_values_is_not_read(served: Organisation, body: bytes) -> None:
    """Well below the largest size, and dear to read: whoever is signed in nowhere could keep the relay busy with it."""
    answer = served.relay.call("POST", "/v1/login", raw=b'{"login":' + body + b"}")
    assert answer.code == "json"
    assert b"20000" in answer.body


def test_a_body_that_is_too_large(served: Organisation) -> None:
    assert served.relay.call("POST", "/v1/login", raw=b'{"a":"' + b"x" * 3_000_000 + b'"}').code == "body-size"
    assert served.relay.call("POST", "/v1/login", raw=b'{"a":"' + b"x" * 10_485_760 + b'"}').code == "body-size"


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/msgpack"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json; charset=klingon"},
        {"Content-Type": ""},
        {"Content-Encoding": "gzip"},
    ],
    ids=str,
)
def test_a_body_of_another_kind(served: Organisation, headers: dict[str, str]) -> None:  # C15
    assert served.relay.call("POST", "/v1/login/nonce", {}, headers=headers).code == "content-type"


@pytest.mark.parametrize(
    "path",
    [
        "//livez", "/livez/", "/./livez", "/v1/../livez", "/v1//trust", "/v1/%74rust", "/v1/trust%00", "/v1/trust%2f", "/v1%2ftrust",
        "/%zz", "/%ff", "/livez;a=1", "/LIVEZ%20", "/v1/requests/..", "/v1/requests/%2e%2e", "/v1/secrets/\u00fc".encode().decode("latin-1"),
    ],
)  # fmt: skip
def test_a_path_in_another_spelling(served: Organisation, path: str) -> None:  # C3
    answer = exchange(served.relay, f"GET {path} HTTP/1.1\r\nHost: localhost:{served.relay.port}\r\n\r\n".encode("latin-1"))
    assert 400 <= status(answer) < 500


@pytest.mark.parametrize(
    "query",
    [
        "wait=1&wait=2",
        "wait",
        "=1",
        "wait=-1",
        "wait=01",
        "wait=1.0",
        "wait=99999",
        "wait=%ff",
        "wait=%0a",
        "Wait=1",
        "other=1",
        "&",
    ],
)
def test_a_query_in_another_spelling(served: Organisation, query: str) -> None:
    assert served.admin.get(f"/v1/events?{query}").code in ("query", "forbidden")
    assert served.relay.call("GET", f"/livez?{query}").code == "query"


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost", "localhost:1", "127.0.0.1", "localhost:443.evil", "", "localhost:8443@evil"]
)
def test_another_host(served: Organisation, host: str) -> None:  # N6
    answer = exchange(served.relay, f"GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert status(answer) == (200 if host == "localhost" else 400)


def test_forwarded_headers_mean_nothing(served: Organisation) -> None:  # N6
    headers = {"X-Forwarded-Host": "evil", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "http", "Forwarded": "host=evil"}
    assert served.relay.call("GET", "/livez", headers=headers).status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost"])
def test_another_origin(served: Organisation, origin: str) -> None:  # N7, C15
    answer = served.relay.call("POST", "/v1/login/nonce", {}, headers={"Origin": origin})
    assert (answer.status, answer.code) == (403, "origin")
    assert served.relay.call("POST", "/v1/login/nonce", {}, headers={"Origin": served.relay.url}).status == 201


def smuggling(host: str) -> dict[str, bytes]:
    """One interpretation or none (N4). Each ends in an answer of 4xx, or in silence and a closed connection."""
    post = f"POST /v1/login/nonce HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return {
        "length and chunks": f"{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode(),
        "chunks and length": f"{post}Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n".encode(),
        "two lengths": f"{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}".encode(),
        "two equal lengths": f"{post}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
        "negative length": f"{post}Content-Length: -2\r\n\r\n{{}}".encode(),
        "signed length": f"{post}Content-Length: +2\r\n\r\n{{}}".encode(),
        "length in hex": f"{post}Content-Length: 0x2\r\n\r\n{{}}".encode(),
        "list of lengths": f"{post}Content-Length: 2, 2\r\n\r\n{{}}".encode(),
        "huge length": f"{post}Content-Length: 99999999999999999999\r\n\r\n{{}}".encode(),
        "bad chunk size": f"{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n".encode(),
        "negative chunk": f"{post}Transfer-Encoding: chunked\r\n\r\n-2\r\n{{}}\r\n0\r\n\r\n".encode(),
        "bare line feeds in chunks": f"{post}Transfer-Encoding: chunked\r\n\r\n2\n{{}}\n0\n\n".encode(),
        "another transfer coding": f"{post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".encode(),
        "two transfer codings": f"{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n".encode(),
        "space before the colon": f"{post}Content-Length : 2\r\n\r\n{{}}".encode(),
        "folded header": f"{post}X-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
        "two hosts": f"GET /livez HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n\r\n".encode(),
        "no host": b"GET /livez HTTP/1.1\r\n\r\n",
        "body with GET": f"GET /livez HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}".encode(),
        "fragment": f"GET /livez#x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        "fragment behind a query": f"GET /v1/trust?a=b#c HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        "absolute form": f"GET https://{host}/livez HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        "OPTIONS *": f"OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        "TRACE": f"TRACE /livez HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        "CONNECT": f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        "HTTP/0.9": b"GET /livez\r\n\r\n",
        "HTTP/9.9": f"GET /livez HTTP/9.9\r\nHost: {host}\r\n\r\n".encode(),
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "upgrade": f"GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode(),
        "h2c": f"GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n".encode(),
        "70 kB header": f"GET /livez HTTP/1.1\r\nHost: {host}\r\nX-A: {'a' * 70_000}\r\n\r\n".encode(),
        "70 kB path": f"GET /{'a' * 70_000} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        "2000 headers": f"GET /livez HTTP/1.1\r\nHost: {host}\r\n{''.join(f'X-{n}: 1' + chr(13) + chr(10) for n in range(2000))}\r\n".encode(),
        "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "NUL in a header": f"GET /livez HTTP/1.1\r\nHost: {host}\r\nX-A: a\x00b\r\n\r\n".encode(),
        "non-ASCII cookie and a bad method": f"GÉT /livez HTTP/1.1\r\nHost: {host}\r\nCookie: ü\r\n\r\n".encode(),
    }


@pytest.mark.parametrize("name", smuggling("x"))
def test_one_interpretation_or_none(served: Organisation, name: str) -> None:
    got = status(exchange(served.relay, smuggling(f"localhost:{served.relay.port}")[name]))
    assert got == 0 or 400 <= got < 500


def test_pipelined_requests_are_answered_in_order(served: Organisation) -> None:
    host = f"localhost:{served.relay.port}"
    one = f"GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n"
    got = exchange(served.relay, (one + f"GET /nope HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").encode())
    assert status(got) == 200


def test_plain_text_to_the_tls_port(served: Organisation) -> None:
    assert b"HTTP" not in exchange(served.relay, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", tls=False)  # N1


def test_tls_below_1_3_is_refused(served: Organisation) -> None:
    import socket
    import ssl

    context = served.relay.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", served.relay.port)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


NAMES = [
    "", ".", "..", "-rf", "--help", "~", "$(id)", " a", "a ", "a\tb", "a\nb", "a\r", "\x1b[2J", "\x7f", "\x85", "\u202e", "\u200d", "\U000e0041",
    "\ufeff", "e\u0301", "\ufb01", "\uff41", "\u212a", "\u0131", "\u0430", "\U0001f600", "__proto__", "PROD/db", "prod/../prod/db", "prod//db",
    "prod/", "/prod", "prod/%64b", "prod/db\x00", "'; DROP TABLE secrets;--", "<b>", "a" * 201, "prod/**", "*",
]  # fmt: skip


def test_a_name_in_another_form_is_refused_never_mended(served: Organisation) -> None:  # C3, C4
    from urllib.parse import quote

    served.seal("prod/form")
    for name in NAMES:
        answer = served.admin.get(f"/v1/secrets/latest?path={quote(name, safe='')}")
        assert 400 <= answer.status < 500, name
        invite = {"invite": "A" * 43, "bearer_hash": "A" * 43, "kind": "person", "subject": name, "roles": ["approver"]}
        if name != "__proto__":
            assert 400 <= served.admin.post("/v1/invites", invite).status < 500, name


MUTATIONS = 1000


def test_a_thousand_mutations_of_honest_calls(served: Organisation) -> None:  # R12
    """Bytes flipped, cut, doubled and swapped in signed bodies: 4xx or (where nothing that counts changed) 2xx, never 5xx."""
    client = served.clients.get("host/mut") or served.client("host/mut")
    served.seal("prod/mut")
    request, _ = client.request("prod/mut")
    honest = [
        ("/v1/requests", {"requests": wire(request)}, client.session),
        ("/v1/roster", {"roster": wire(served.roster)[0]}, served.admin.session),
        ("/v1/decisions", {"decision": wire(request)[0]}, served.admin.session),
        ("/v1/login", {"login": wire(request)[0], "person": "alice", "device": "alice-laptop"}, ""),
    ]
    chance = random.Random(1)
    for number in range(MUTATIONS):
        path, body, token = honest[number % len(honest)]
        text = bytearray(json.dumps(body, separators=(",", ":"), sort_keys=True).encode())
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text))
            kind = chance.randrange(5)
            if kind == 0:
                text[at] ^= 1 << chance.randrange(8)
            elif kind == 1:
                del text[at : at + chance.randint(1, 40)]
            elif kind == 2:
                text[at:at] = text[at : at + chance.randint(1, 40)]
            elif kind == 3:
                text[at:at] = chance.choice([b"null", b"{", b"]", b'"', b"\x00", b"\xff", b"-1", b"1e9", b'"a":1,', b"\\u0000"])
            else:
                text = text[: max(at, 1)]
            if not text:
                text = bytearray(b"{")
        answer = served.relay.call("POST", path, raw=bytes(text), token=token)
        assert answer.status < 500, (path, bytes(text), answer.body)


def test_the_openapi_document_names_every_route(served: Organisation) -> None:
    from stillvault.relay.routes import ROUTES

    document = served.relay.call("GET", "/openapi.json").ok()
    listed = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert listed == {(route.method, route.path.replace(":str", "").replace(":path", "")) for route in ROUTES}
    assert "http://" not in json.dumps(document)
    assert "https://" not in json.dumps(document)
