"""An organisation whose relay may send messages to listeners of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from stillvault.protocol import cards, objects
from tests.relay.listeners import Listener
from tests.relay.parties import Client, Device, Json, Organisation, payload
from tests.relay.process import RelayProcess

QUICK = {"notify.every_seconds": "0", "notify.retry_seconds": "1", "notify.tries": "3", "notify.timeout_seconds": "2"}
NAMES = ("prod/", "db-1", "psql", "/usr", "migration", "alice", "ben", "Tests", "laptop", "phone")


@contextlib.contextmanager
def organisation(directory: Path, *ports: int, **settings: str) -> Iterator[Organisation]:
    """Alice and Ben, and a relay that may send to these ports of this machine."""
    egress = {"notify.egress": ",".join(f"http://127.0.0.1:{port}" for port in ports)} if ports else {}
    relay = RelayProcess(directory / "data", **{**QUICK, **egress, **settings}).start()
    try:
        made = Organisation(relay).create()
        made.person("ben", "approver")
        yield made
    finally:
        relay.stop()


def target(device: Device, listener: Listener | int, name: str = "pixel", kind: str = "ntfy", **more: str) -> Json:
    port = listener if isinstance(listener, int) else listener.port
    fields = {
        "ntfy": {"topic": "releases", "token": "tk_" + "n" * 29},
        "gotify": {"token": "A" + "g" * 14},
        "webhook": {"secret": "w" * 40},
    }[kind]
    url = f"http://127.0.0.1:{port}" + ("/hook" if kind == "webhook" else "")
    made: Json = device.post("/v1/targets", {"kind": kind, "name": name, "url": url, **fields, **more}).ok()
    return made


def ended(org: Organisation, channel: str = "ntfy") -> list[Json]:
    """The rows that say what became of messages by a channel."""
    return [row for row in org.leaves("prompted") if row["detail"]["channel"] == channel]


def card_id(request: bytes) -> str:
    return cards.card_id(msgspec.convert(payload(request), objects.Request))


def asked(client: Client, path: str = "prod/db", **changes: object) -> bytes:
    request, _, answer = client.ask(path, **changes)
    answer.ok()
    return request
