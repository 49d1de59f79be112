"""One client's line to the relay: signed in, listening for events, sending what must not be lost.

A thread of its own holds the long poll: it signs in, takes the newest trust, checks the log's head, and then waits for events
from its cursor. When the line breaks it comes back with a growing pause, and on coming back it says so, so that everything that
may have changed is looked at again. All other calls run in the daemon's worker threads.

Receipts, use reports and cancellations go through an outbox: they are sent in order, again after a break, until the relay has
taken or refused them. They are signed and hold no secret. Nothing of this is on disk.

The relay is not believed: what it hands out is verified by whoever gets it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import Literal, TypeVar
from urllib.parse import quote

import msgspec

from stillvault.client.identities import Identities
from stillvault.crypto.public import Trust, b64encode, oid_of
from stillvault.protocol.errors import Refused, StillvaultError, Unavailable
from stillvault.protocol.messages import Events, LatestSecret, NewRequests, Nothing, RequestState, RequestStates, SignedList
from stillvault.transport.http import Relay, RelayRefused
from stillvault.transport.session import sign_in
from stillvault.transport.trust import TrustStore

log = logging.getLogger("stillvault.daemon")
T = TypeVar("T")
Kind = Literal["receipts", "uses", "cancels"]

POLL = 10  # seconds that the relay may hold an empty poll
SILENT = 13.0  # seconds after which a poll without answer is a dead line
CALL = 10.0  # seconds for any other call
PAUSE_FIRST, PAUSE_MOST = 0.2, 10.0  # seconds between attempts
SESSION_MARGIN = 60  # seconds before its end at which a session is renewed
MAX_OUTBOX = 4096  # objects; beyond it the oldest are dropped
BATCH = 64  # objects a call


class Line:
    """The relay as every thread of the daemon reaches it: a `Relay` belongs to one thread. Raises where the pin is none."""

    def __init__(self, url: str, ca: bytes) -> None:
        self._url, self._ca = url, ca
        self._own = threading.local()
        self.relay()  # an address or a CA that is damaged is said at the start, not in every thread

    def relay(self) -> Relay:
        """This thread's relay."""
        found: Relay | None = getattr(self._own, "relay", None)
        if found is None:
            found = self._own.relay = Relay(self._url, self._ca, timeout=CALL)
        return found

    def fresh(self, timeout: float) -> Relay:
        """One of its own, with that time for each answer."""
        return Relay(self._url, self._ca, timeout=timeout)


class Link:
    """The line of one client. The `on_` functions are called from the link's threads."""

    def __init__(self, subject: str, identities: Identities, store: TrustStore, line: Line, *, on_trust: Callable[[Trust], None],
                 on_up: Callable[[str], None], on_events: Callable[[str, Events], None],
                 on_refused: Callable[[str], None], on_down: Callable[[StillvaultError], None]) -> None:
        self.subject = subject
        self.up = False  # the line stood when last looked at
        self.error: StillvaultError = Unavailable("unreachable", "the relay has not been reached yet", "check that it runs")
        self.tried = threading.Event()  # the first attempt is over, for better or worse
        self._identities = identities
        self._store = store
        self._line = line
        self._on_trust, self._on_up, self._on_events, self._on_refused = on_trust, on_up, on_events, on_refused
        self._on_down = on_down
        self._refusals = 0
        self._session = threading.Lock()
        self._token, self._token_ends, self._cursor = "", 0.0, -1
        self._outbox: deque[tuple[Kind, bytes]] = deque(maxlen=MAX_OUTBOX)
        self._sending = threading.Lock()
        self._stopping = threading.Event()
        self._kick = threading.Event()

    def start(self) -> None:
        """Begins to listen."""
        threading.Thread(target=self._listen, name=f"link {self.subject}", daemon=True).start()

    def stop(self) -> None:
        """Listens no more. A poll that hangs ends with the process."""
        self._stopping.set()
        self._kick.set()

    # ---- calls, in any worker thread -----------------------------------------------------------------------------------

    def refresh(self) -> Trust:
        """The newest root chain and roster, verified and remembered."""
        trust = self._call(lambda relay, token: self._store.refresh(relay, token, int(time.time())))
        self._on_trust(trust)
        return trust

    def raise_requests(self, signed: list[bytes]) -> list[RequestState]:
        """Hands one card to the relay; all of it is taken or nothing."""
        body = NewRequests(requests=[msgspec.Raw(one) for one in signed])
        answer = self._call(lambda relay, token: relay.call("POST", "/v1/requests", body, returns=RequestStates, token=token))
        return answer.requests

    def state(self, oid: bytes) -> RequestState:
        """The relay's row of a request of ours."""
        path = f"/v1/requests/{b64encode(oid)}"
        return self._call(lambda relay, token: relay.call("GET", path, returns=RequestState, token=token))

    def latest(self, path: str) -> bytes:
        """The newest signed secret of a path, not verified."""
        route = f"/v1/secrets/latest?path={quote(path, safe='')}"
        return bytes(self._call(lambda relay, token: relay.call("GET", route, returns=LatestSecret, token=token)).secret)

    # ---- the outbox ----------------------------------------------------------------------------------------------------

    def post(self, kind: Kind, signed: bytes) -> None:
        """Puts a signed object into the outbox. `flush` sends it."""
        self._outbox.append((kind, signed))

    def flush(self) -> None:
        """Sends what is in the outbox, in order. What the relay has neither taken nor refused stays."""
        with self._sending:
            alone = 0  # objects that go one at a time: together they were refused, for the sake of one of them
            while batch := self._oldest(1 if alone else BATCH):
                try:
                    self._post_batch(batch)
                except RelayRefused as error:
                    if error.status >= 500:
                        return
                    if len(batch) > 1:
                        alone = len(batch)
                        continue
                    log.warning("the relay refused one of our %s: %s", batch[0][0], error.code)
                except StillvaultError:
                    return
                alone = max(0, alone - len(batch))
                for one in batch:
                    if self._outbox[0] is one:  # not where a full outbox dropped it meanwhile
                        self._outbox.popleft()

    def _oldest(self, most: int) -> list[tuple[Kind, bytes]]:
        """What waits longest, of one kind."""
        waiting = list(self._outbox)[:most]
        return list(takewhile(lambda one: one[0] == waiting[0][0], waiting))

    def _post_batch(self, batch: list[tuple[Kind, bytes]]) -> None:
        body = SignedList(objects=[msgspec.Raw(signed) for _, signed in batch])
        self._call(lambda relay, token: relay.call("POST", f"/v1/{batch[0][0]}", body, returns=Nothing, token=token))

    # ---- the session ---------------------------------------------------------------------------------------------------

    def _call(self, send: Callable[[Relay, str], T], relay: Relay | None = None) -> T:
        """Sends with a session that stands; signs in once more where the relay says that it does not."""
        relay = relay or self._line.relay()
        token = self._signed_in(relay)
        try:
            return send(relay, token)
        except RelayRefused as error:
            if error.status != 401:
                raise
        with self._session:
            if self._token == token:
                self._token = ""
        return send(relay, self._signed_in(relay))

    def _signed_in(self, relay: Relay) -> str:
        with self._session:
            if self._token and time.time() < self._token_ends - SESSION_MARGIN:
                return self._token
            cert = self._identities.cert(self.subject)
            key = self._identities.key(self.subject)
            try:
                session = sign_in(relay, lambda payload: key.sign("login", payload), org=self._store.pin,
                                  client=b64encode(oid_of(cert)), now=int(time.time()))
            except RelayRefused as error:
                relay.name_the_clock(error, int(time.time()))
                raise
            self._token, self._token_ends = session.token, session.expires
            if self._cursor < 0 or session.cursor < self._cursor:  # first, or the relay was set back: its feed begins anew
                self._cursor = session.cursor
            renewed = None if session.cert is msgspec.UNSET else bytes(session.cert)
        if renewed is not None and renewed != cert:
            trust = self._store.refresh(relay, self._token, int(time.time()))
            self._identities.renew(self.subject, renewed, trust, int(time.time()))
            self._on_trust(trust)
        return self._token

    # ---- listening -----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        pause = PAUSE_FIRST
        while not self._stopping.is_set():
            relay = self._line.fresh(SILENT)
            try:
                trust = self._call(lambda relay, token: self._store.refresh(relay, token, int(time.time())), relay)
                self._on_trust(trust)
                self._gossip(relay, trust)
                self.up, self._refusals = True, 0
                self.tried.set()
                self._on_up(self.subject)
                while not self._stopping.is_set():
                    self._poll(relay)
                    pause = PAUSE_FIRST
            except StillvaultError as error:
                if self.up:
                    log.warning("the line of %s to the relay broke: %s", self.subject, error.code)
                if isinstance(error, Refused):
                    relay.name_the_clock(error, int(time.time()))
                self.error = error
                self._on_down(error)
                self._count_refusals(error)
            except Exception as error:
                log.exception("the line of %s to the relay failed", self.subject)
                self.error = Unavailable("internal", f"the line to the relay failed: {type(error).__name__}",
                                         "look at the daemon's log")
            finally:
                relay.close()
            self.up = False
            self.tried.set()
            self._kick.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311  a pause, not a secret
            self._kick.clear()
            pause = min(pause * 2, PAUSE_MOST)

    def _count_refusals(self, error: StillvaultError) -> None:
        """A client that may not sign in any more was revoked, or has run out: its leases end. The relay may shorten a lease.

        Without the word `revoked`, once may be a nonce that a restart of the relay forgot; twice in a row is meant.
        """
        if isinstance(error, RelayRefused) and error.status in (401, 403):
            self._refusals += 1
            if error.code == "revoked" or self._refusals == 2:
                self._on_refused(self.subject)
        elif not isinstance(error, Unavailable):
            self._refusals = 0

    def _poll(self, relay: Relay) -> None:
        cursor = self._cursor
        events = self._call(lambda relay, token: relay.call("GET", f"/v1/events?after={cursor}&wait={POLL}", returns=Events,
                                                            token=token), relay)
        self._cursor = max(events.cursor, cursor)
        if events.events:
            self._on_events(self.subject, events)

    def _gossip(self, relay: Relay, trust: Trust) -> None:
        """The log's head must continue the one seen before; requests carry it, so that people can compare (section 12)."""
        try:
            self._call(lambda relay, token: self._store.check(relay, token, trust), relay)
        except RelayRefused as error:
            log.warning("the relay shows no checkpoint of its log: %s", error.code)
