"""The peer of row P4: a bare ASGI program that does what a release cannot do without, and nothing else.

Same server (uvicorn, uvloop, httptools), same TLS, same bytes in, same core: the signature and the rules of each request,
decision and receipt are checked; each is kept with its leaf of the log in SQLite, WAL, synchronous=FULL, and answered after
COMMIT. What comes in together is committed together, on the loop. It has no router, no guard of its edge, no policy, no limits,
no life-cycle beyond one word, no events, no tree of hashes and nobody who is not this one client or this one device.

    python -m bench.bare FOLDER TLS        world.json is in FOLDER, certificate and key are in TLS; prints its port
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec
import uvicorn

from stillvault.crypto import public
from stillvault.protocol import messages, objects

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Work = Callable[[], bytes]


class World(msgspec.Struct):
    """What the relay of the same run knows; base64url where it is bytes."""

    pin: str
    root: str
    roster: str
    cert: str
    secret: str
    ciphertext: str
    tokens: list[str]


class Store:
    """One connection, one commit for what came in since the last one."""

    def __init__(self, path: Path) -> None:
        self.db = apsw.Connection(str(path))
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=2000"):
            self.db.execute(f"PRAGMA {pragma}")
        columns = "oid BLOB PRIMARY KEY, state TEXT, signed BLOB, release BLOB"
        self.db.execute(f"CREATE TABLE requests ({columns}) STRICT, WITHOUT ROWID")
        self.db.execute("CREATE TABLE leaves (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT")
        self._waiting: list[tuple[Work, asyncio.Future[bytes]]] = []

    async def durable(self, work: Work) -> bytes:
        """Runs `work` in the next transaction; returns after its COMMIT."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bytes] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((work, done))
        return await done

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        with self.db:
            made = [work() for work, _ in waiting]
        for (_, done), one in zip(waiting, made, strict=True):
            done.set_result(one)

    def leaf(self, kind: str, oid: bytes, path: str) -> None:
        leaf = public.encode({"kind": kind, "oid": public.b64encode(oid), "secret": path, "time": int(time.time())})
        self.db.execute("INSERT INTO leaves (leaf) VALUES (?)", (leaf,))

    def move(self, oid: bytes, before: str, after: str, release: bytes) -> None:
        query = "UPDATE requests SET state = ?, release = ? WHERE oid = ? AND state = ? RETURNING 1"
        if self.db.execute(query, (after, release, oid, before)).fetchone() is None:
            raise ValueError("no such request")


class Bare:
    """The application."""

    def __init__(self, world: World, store: Store) -> None:
        self.store = store
        root, roster, cert = (public.b64decode(one) for one in (world.root, world.roster, world.cert))
        now = int(time.time())
        self.trust = public.Trust.verify(public.b64decode(world.pin), [root], roster, now)
        self.cert = self.trust.verify_cert(cert, now)
        self.secret = msgspec.Raw(public.b64decode(world.secret))
        self.ciphertext = world.ciphertext
        self.tokens = {public.sha256(token.encode()) for token in world.tokens}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = dict(scope["headers"]).get(b"authorization", b"")[7:]
        if public.sha256(token) not in self.tokens:
            raise ValueError("nobody")
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        path = scope["path"]
        match path:
            case "/v1/requests":
                answer = await self.request(body)
            case "/v1/decisions":
                answer = await self.decision(body)
            case "/v1/receipts":
                answer = await self.receipt(body)
            case _:
                answer = self.state(public.b64decode(path.rpartition("/")[2]))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def request(self, body: bytes) -> bytes:
        signed = bytes(msgspec.json.decode(body, type=messages.NewRequests).requests[0])
        checked = self.trust.verify_request(signed, self.cert, int(time.time()))

        def keep() -> bytes:
            self.store.db.execute("INSERT INTO requests VALUES (?, 'pending', ?, NULL)", (checked.oid, signed))
            self.store.leaf("requested", checked.oid, checked.path)
            return msgspec.json.encode({"requests": [{"oid": public.b64encode(checked.oid), "state": "pending"}]})

        return await self.store.durable(keep)

    async def decision(self, body: bytes) -> bytes:
        release = msgspec.json.decode(body, type=messages.Decide).release
        assert isinstance(release, msgspec.Raw)
        signed, sealed = public.split_release(bytes(release))
        decision = self.trust.verify_decision(signed, int(time.time()))
        own = public.join_release(signed, sealed[:1])

        def keep() -> bytes:
            self.store.move(sealed[0][0], "pending", "approved", own)
            self.store.leaf("approved", decision.oid, "prod/db")
            return msgspec.json.encode({"oid": public.b64encode(decision.oid), "states": ["approved"]})

        return await self.store.durable(keep)

    def state(self, oid: bytes) -> bytes:
        state, release = self.store.db.execute("SELECT state, release FROM requests WHERE oid = ?", (oid,)).fetchone()
        answer = {"oid": public.b64encode(oid), "state": state, "releases": [msgspec.Raw(release)], "secret": self.secret,
                  "ciphertext": self.ciphertext}
        return msgspec.json.encode(answer)

    async def receipt(self, body: bytes) -> bytes:
        signed = bytes(msgspec.json.decode(body, type=messages.SignedList).objects[0])
        payload = self.trust.verify_by_client("receipt", signed, self.cert, int(time.time()))
        said = msgspec.json.decode(payload, type=objects.Receipt)
        oid = public.b64decode(said.request)

        def keep() -> bytes:
            self.store.move(oid, "approved", "delivered", b"")
            self.store.leaf("delivered", oid, "prod/db")
            return b"{}"

        return await self.store.durable(keep)


def main(folder: Path, tls: Path) -> None:
    """Serves until it is ended."""
    app = Bare(msgspec.json.decode((folder / "world.json").read_bytes(), type=World), Store(folder / "bare.db"))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False,
        server_header=False, timeout_keep_alive=75, ssl_certfile=tls / "relay.pem", ssl_keyfile=tls / "relay.key",
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
    )  # fmt: skip
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
