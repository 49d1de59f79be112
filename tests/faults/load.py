"""Writers that keep a relay busy and know what it acknowledged."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from typing import Any

from stillvault.crypto.public import b64encode, encode, oid_of
from tests.faults.checker import History
from tests.relay.parties import Client, Organisation, wire

GONE = (http.client.HTTPException, OSError, ssl.SSLError)
WAIT_SECONDS = 15.0  # for one answer, before it counts as unknown


class Caller:
    """One connection; no call is ever repeated, so that an answer belongs to exactly one sending."""

    def __init__(self, org: Organisation) -> None:
        self._org = org
        self._connection: http.client.HTTPSConnection | None = None

    def post(self, path: str, body: dict[str, Any], token: str) -> int:
        """The status. Raises one of `GONE` when no answer came."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPSConnection(
                    "localhost", self._org.relay.port, timeout=WAIT_SECONDS, context=self._org.relay.context()
                )
            raw = json.dumps(body, separators=(",", ":"), sort_keys=True).encode()
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            self._connection.request("POST", path, raw, headers)
            answer = self._connection.getresponse()
            answer.read()
            return answer.status
        except GONE:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Writer(threading.Thread):
    """Asks for its own path, approves, reports delivery, over and over, until told to stop."""

    def __init__(self, org: Organisation, client: Client, secret: bytes, path: str, history: History) -> None:
        super().__init__(name=path)
        self.org, self.client, self.secret, self.path, self.history = org, client, secret, path, history
        self.up = threading.Event()  # cleared while the relay is known to be down
        self.stop = threading.Event()
        self.caller = Caller(org)
        self.problems: list[str] = []

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                self._flow()
            except GONE:
                self.up.clear()
            self.up.wait()
        self.caller.close()

    def _flow(self) -> None:
        request, _ = self.client.request(self.path)
        oid = b64encode(oid_of(request))
        if not self._post("requested", "/v1/requests", {"requests": wire(request)}, self.client.session, oid, oid):
            return
        release = self.org.release(self.org.admin, self.client, (request, self.secret))
        decision = json.dumps(json.loads(release)["decision"], separators=(",", ":"), sort_keys=True).encode()
        made = {"release": wire(release)[0]}
        if not self._post("approved", "/v1/decisions", made, self.org.admin.session, b64encode(oid_of(decision)), oid):
            return
        receipt = self._receipt(request)
        self._post("delivered", "/v1/receipts", {"objects": wire(receipt)}, self.client.session, b64encode(oid_of(receipt)), oid)

    def _receipt(self, request: bytes) -> bytes:
        said = {"org": self.org.pin, "request": b64encode(oid_of(request)), "secret": b64encode(oid_of(self.secret)),
                "result": "delivered", "issued": int(time.time())}
        return self.client.key.sign("receipt", encode(said))

    def _post(self, kind: str, path: str, body: dict[str, Any], token: str, oid: str, request: str) -> bool:
        self.history.invoke()
        try:
            status = self.caller.post(path, body, token)
        except GONE:
            self.history.lost()
            raise
        if status >= 300:
            self.history.lost()
            self.problems.append(f"{path} answered {status}")
            return False
        self.history.answered(kind, oid, request)
        return True
