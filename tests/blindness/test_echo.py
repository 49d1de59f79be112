"""Errors and logs say nothing that was sent: a canary in every path, query, header, key and field of every route.  # C13

The routes and the fields of their bodies are read from the OpenAPI document that the relay serves.
"""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.blindness import scan
from tests.relay.parties import Organisation
from tests.relay.process import RelayProcess
from tests.relay.raw import exchange

CANARY = secrets.token_hex(16)
NEEDLES = scan.needles(CANARY.encode())


@pytest.fixture(scope="module")
def org() -> Iterator[Organisation]:
    folder = Path(tempfile.mkdtemp(prefix="sv-echo-"))
    relay = RelayProcess(folder / "data").start()
    try:
        made = Organisation(relay).create()
        made.client()
        yield made
    finally:
        status = relay.stop()
        shutil.rmtree(folder)
    assert status == 0


def routes(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any] | None]]:
    """Method, path and the schema of the body of every operation."""
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            found.append((method.upper(), path, None if schema is None else resolved(document, schema)))
    return found


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    return document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema


def bodies(schema: dict[str, Any]) -> Iterator[Any]:
    """The canary as each field in turn, in all of them, in signed objects, as a name, and as what is no JSON."""
    names = list(schema.get("properties", {}))
    wrapper = {"payload": CANARY, "type": CANARY, "signatures": [{"alg": CANARY, "key": CANARY, "sig": CANARY}]}
    for made in (CANARY, [CANARY], wrapper, [wrapper], {CANARY: CANARY}):
        yield dict.fromkeys(names, made)
        yield from ({name: made} for name in names)
    yield {CANARY: 1}
    yield CANARY


def tries(org: Organisation, method: str, path: str, schema: dict[str, Any] | None, token: str) -> Iterator[tuple[int, bytes]]:
    call = org.relay.call
    filled = "/".join(CANARY if "{" in part else part for part in path.split("/"))
    targets = [filled, f"{filled}?{CANARY}={CANARY}", *(f"{filled}?{name}={CANARY}" for name in QUERIES)]
    for target in targets:
        answer = call(method, target, None if schema is None else {}, token=token)
        yield answer.status, json.dumps([*answer.headers.items()]).encode() + answer.body
    for body in [] if schema is None else bodies(schema):
        answer = call(method, filled, body, token=token)
        yield answer.status, json.dumps([*answer.headers.items()]).encode() + answer.body


QUERIES = ("path", "prefix", "after", "limit", "wait", "state", "old", "new")


def test_no_answer_repeats_what_was_sent(org: Organisation) -> None:
    document = org.relay.call("GET", "/openapi.json").ok()
    known = routes(document)
    assert len([schema for _, _, schema in known if schema]) >= 12, "the document names the bodies"
    repeated, count = [], 0
    for method, path, schema in known:
        for token in ("", CANARY, org.admin.session, org.clients["host/db-1"].session):
            if path in ("/v1/stream", "/v1/logout", "/v1/sessions/end") and token not in ("", CANARY):
                continue  # the one does not end, the others end the session
            for status, said in tries(org, method, path, schema, token):
                count += 1
                assert status < 500, (method, path, said)
                if scan.in_bytes(said, NEEDLES):
                    repeated.append((method, path, status, said[-300:]))
    print(f"{count} calls on {len(known)} routes carried the canary")
    assert repeated == []


HEADERS = ("Accept", "Accept-Encoding", "Authorization", "Connection", "Content-Encoding", "Content-Type", "Cookie", "Expect",
           "From", "Host", "If-None-Match", "Last-Event-ID", "Origin", "Referer", "Traceparent", "User-Agent", "X-Forwarded-For",
           "X-Request-Id", CANARY)


def test_no_header_comes_back(org: Organisation) -> None:
    for name in HEADERS:
        for value in (CANARY, f"Bearer {CANARY}", f"http://{CANARY}.example/"):
            host = "" if name == "Host" else "Host: localhost\r\n"
            for target in ("/livez", "/v1/secrets", f"/{CANARY}", f"http://{CANARY}/livez"):
                said = exchange(org.relay, f"GET {target} HTTP/1.1\r\n{host}{name}: {value}\r\n\r\n".encode())
                assert scan.in_bytes(said, NEEDLES) == [], (name, value, target, said)
    for line in (f"{CANARY} / HTTP/1.1", f"GET /{CANARY}", f"GET / {CANARY}", CANARY):
        assert scan.in_bytes(exchange(org.relay, f"{line}\r\n\r\n".encode()), NEEDLES) == [], line


def test_nothing_of_it_was_kept(org: Organisation) -> None:
    """Neither the relay's log nor its database nor the audit rows; a name that was sealed honestly is found in the last two."""
    known = secrets.token_hex(16)
    org.seal(f"prod/{known}")
    plant = scan.needles(known.encode())
    rows = json.dumps(org.leaves()).encode()
    assert scan.in_bytes(rows, plant)
    assert scan.in_bytes(rows, NEEDLES) == []
    assert scan.in_files(org.relay.data, plant)
    assert scan.in_files(org.relay.data, NEEDLES) == []
    log = b"".join(org.relay.stderr)
    assert scan.in_bytes(log, NEEDLES) == []
    assert scan.in_bytes(log + b"Bearer " + CANARY.encode(), NEEDLES)
