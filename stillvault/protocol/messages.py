"""The wire: every body that the relay takes or gives, and nothing else.

A signed object travels as the exact bytes of its canonical wrapper (`msgspec.Raw`): whoever receives it hands those bytes to
the core, which verifies first and parses after. Unknown fields are refused. Times are unix seconds. Byte strings are
base64url without padding. Oids are base64url of 32 bytes.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType


class Message(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """A body of the wire. Unknown fields are refused; defaults are left out."""


# ---- trust -------------------------------------------------------------------------------------------------------------


class Trust(Message):
    """GET /v1/trust: the root chain from version 1, and the newest roster."""

    roots: list[Raw]
    roster: Raw


class LogKey(Message):
    """GET /v1/setup/log, bearer: the setup token. What the root's `log` must say."""

    origin: str
    public: str


class Organisation(Message):
    """The answer to POST /v1/setup."""

    org_id: str


class Setup(Message):
    """POST /v1/setup, bearer: the setup token. Creates the organisation, once."""

    root: Raw
    roster: Raw
    certs: list[Raw] = []


class Publish(Message):
    """POST /v1/roster: a new roster, with the new root and the certificates that go with it, in one transaction."""

    roster: Raw
    roots: list[Raw] = []
    certs: list[Raw] = []
    enrol: str = ""  # oid of the enrolment that this roster confirms


# ---- sign-in -----------------------------------------------------------------------------------------------------------


class Nonce(Message):
    """POST /v1/login/nonce: 32 random bytes, single use, 60 seconds."""

    nonce: str


class Login(Message):
    """POST /v1/login: a signed `login`, and who claims to have signed it: a person's device, or a client certificate."""

    login: Raw
    person: str = ""
    device: str = ""
    client: str = ""  # oid of the client certificate
    cookie: bool = False  # a person's browser: the bearer comes as a cookie that no script reads
    label: str = ""  # what the browser calls itself, for the list of sessions


class Credential(Message):
    """POST /v1/login/credential: the id of the passkey that just answered, from a browser that knows no more."""

    credential: str


class Passkey(Message):
    """Whose passkey that is, and its key. A hint to build the login with; the browser finds both in the verified roster after."""

    person: str
    device: str
    public: str


class Session(Message):
    """A bearer for `Authorization` (empty where it came as a cookie), and the newest certificate of the client's key."""

    token: str
    expires: int
    cursor: int  # where the event feed stands now
    cert: Raw | UnsetType = UNSET


class Environment(Message):
    """GET /v1/environment: what the console must know before anybody is signed in."""

    public_url: str
    host_ok: bool  # the browser came by the name of the public URL: a passkey is of that name for ever
    organisation: bool
    org_id: str = ""
    name: str = ""


class Whoami(Message):
    """GET /v1/session: whose session this is, and where the event feed stands now."""

    person: str
    device: str
    roles: list[str]
    expires: int
    cursor: int


class OneSession(Message):
    """A line of GET /v1/sessions. `id` names it and opens nothing."""

    id: str
    device: str
    created: int
    last_seen: int
    expires: int
    current: bool = False
    label: str = ""


class Sessions(Message):
    """GET /v1/sessions: all of this person, the newest first."""

    sessions: list[OneSession]


class EndSessions(Message):
    """POST /v1/sessions/end: the one of that id, or all of this person, this one too."""

    id: str = ""


class Ended(Message):
    """How many ended."""

    count: int


# ---- enrolment ---------------------------------------------------------------------------------------------------------


class NewInvite(Message):
    """POST /v1/invites. The relay learns the hash of the bearer, never the nonce."""

    invite: str  # SHA-256([enrol, "id", nonce])
    bearer_hash: str  # SHA-256 of the bearer's text
    kind: Literal["person", "client"]
    subject: str  # person id, or client subject
    roles: list[str] = []
    scopes: list[str] = []
    host: str = ""
    grade: str = ""
    device: str = ""  # of that person: the joiner is one more passkey of it, and gets its key from a passkey that has it


class InviteTerms(Message):
    """GET /v1/invite, bearer: that of the invite. What the joiner's screen shows; the roster or certificate decides."""

    kind: Literal["person", "client"]
    subject: str
    expires: int
    roles: list[str] = []
    scopes: list[str] = []
    host: str = ""
    grade: str = ""
    device: str = ""


class Invite(Message):
    """One line of GET /v1/invites."""

    invite: str
    kind: Literal["person", "client"]
    subject: str
    roles: list[str]
    scopes: list[str]
    host: str
    grade: str
    created: int
    expires: int
    state: Literal["open", "joined", "challenged", "proved", "confirmed", "cancelled", "expired"]
    enrol: Raw | UnsetType = UNSET
    proof: str = ""
    device: str = ""
    transferred: bool = False


class Invites(Message):
    """GET /v1/invites."""

    invites: list[Invite]


class Enrol(Message):
    """POST /v1/enrol, bearer: that of the invite (single use)."""

    enrol: Raw


class Enrolled(Message):
    """The answer: a ticket that polls this enrolment alone."""

    ticket: str
    oid: str


class Challenge(Message):
    """POST /v1/invites/{invite}/challenge: 32 bytes sealed to the joiner's KEM key. /transfer: the device's own key."""

    enc: str
    ct: str


class Freeze(Message):
    """A line of GET /v1/holds. That the relay still holds the client is its word; who froze it is in what was signed."""

    subject: str
    until: int
    decision: Raw | UnsetType = UNSET  # absent: the relay's own, after denied cards
    request: Raw | UnsetType = UNSET  # one that the decision names, which names the client's certificate


class Freezes(Message):
    """GET /v1/holds: what freezes put on clients and is not over, by subject."""

    holds: list[Freeze]


class Lift(Message):
    """POST /v1/holds/lift: an administrator ends what freezes put on this client."""

    subject: str


class Lifted(Message):
    """How many holds ended."""

    count: int


class Proof(Message):
    """POST /v1/enrol/proof, bearer: the ticket. The opened challenge."""

    proof: str


class EnrolState(Message):
    """GET /v1/enrol?wait=S, bearer: the ticket."""

    state: Literal["joined", "challenged", "proved", "confirmed", "cancelled", "expired"]
    challenge: Challenge | UnsetType = UNSET
    transfer: Challenge | UnsetType = UNSET
    cert: Raw | UnsetType = UNSET
    trust: Trust | UnsetType = UNSET


class NewClient(Message):
    """POST /v1/clients: the certificate of an enrolled or renewed client. `enrol`: oid of the enrolment that it confirms."""

    cert: Raw
    enrol: str = ""


class Clients(Message):
    """GET /v1/clients: every certificate that stands, with when it was last seen."""

    clients: list[Client]


class Client(Message):
    cert: Raw
    oid: str
    last_seen: int = 0
    revoked: bool = False


class WrappedKey(Message):
    """POST /v1/wrapped: a key of the session's own device, wrapped under one of its passkeys (protocol 11)."""

    credential: str
    kind: Literal["kem", "client"]
    public: str
    blob: str


class WrappedKeys(Message):
    """GET /v1/wrapped: those of the session's own device."""

    keys: list[WrappedKey]


# ---- secrets -----------------------------------------------------------------------------------------------------------


class NewSecret(Message):
    """POST /v1/secrets: the signed secret and its ciphertext."""

    secret: Raw
    ciphertext: str


class Stored(Message):
    oid: str
    path: str
    version: int
    revision: int


class LatestSecret(Message):
    """GET /v1/secrets/latest?path=: the newest signed secret of a path, without ciphertext."""

    secret: Raw


class Secrets(Message):
    """GET /v1/secrets?prefix=&after=&limit=: the newest signed secret of each path, in order of path, without ciphertext."""

    secrets: list[Raw]
    next: str = ""  # pass as `after`


# ---- requests ----------------------------------------------------------------------------------------------------------


class NewRequests(Message):
    """POST /v1/requests: one card; all are taken or none."""

    requests: list[Raw]


class RequestState(Message):
    """What the relay's row says. `releases`, `secret` and `ciphertext` only to the client, only when approved."""

    oid: str
    state: Literal["pending", "approved", "delivered", "failed", "denied", "expired", "cancelled", "revoked"]
    approvals: int = 0
    needed: int = 0
    asked: list[str] = []  # person ids
    decisions: list[Raw] = []  # signed denies and freezes
    releases: list[Raw] = []
    secret: Raw | UnsetType = UNSET
    ciphertext: str = ""


class RequestStates(Message):
    requests: list[RequestState]


class Prompt(Message):
    """One request as an approver gets it. Everything in it is verified by the device before it is shown."""

    request: Raw
    cert: Raw
    secret: Raw
    decisions: list[Raw] = []  # approvals so far, for the progress that the screen shows


class Prompts(Message):
    """GET /v1/prompts: what waits for this person."""

    prompts: list[Prompt]
    cursor: int


class Decide(Message):
    """POST /v1/decisions. An approve comes as a release (`decision` and `sealed`), a deny or freeze as the decision alone."""

    release: Raw | UnsetType = UNSET
    decision: Raw | UnsetType = UNSET


class Decided(Message):
    """The states that the requests of the decision came to, in the order of its items."""

    oid: str
    states: list[str]
    effects: list[str] = []
    late: list[str] = []  # requests whose item changed nothing: decided, ended or sealed anew before it came


class SignedList(Message):
    """POST /v1/receipts, /v1/uses, /v1/cancels."""

    objects: list[Raw]


class Lease(Message):
    """A line of GET /v1/leases: what a client still keeps, as far as the relay knows from its reports."""

    request: str
    path: str
    host: str
    client: str
    uid: int
    user: str
    exe: str
    granted_by: list[str]
    until: int
    count: int = 0  # uses that the client reported


class Leases(Message):
    """GET /v1/leases."""

    leases: list[Lease]


class EndLeases(Message):
    """POST /v1/leases/end: the leases of these requests, or all of every client."""

    requests: list[str] = []
    all: bool = False


# ---- notification targets ----------------------------------------------------------------------------------------------

TargetKind = Literal["browser", "webpush", "ntfy", "gotify", "webhook", "smtp"]


class NewTarget(Message):
    """POST /v1/targets. Which fields a kind takes: docs/guides/notifications.md. `name` is an id, one of a kind for a person."""

    kind: TargetKind
    name: str
    url: str = ""  # ntfy, gotify: the server; webhook: where to post; webpush: the subscription's endpoint
    topic: str = ""  # ntfy
    token: str = ""  # ntfy, if its topic needs one; gotify: of an application
    secret: str = ""  # webhook: the key of its signature
    address: str = ""  # smtp
    p256dh: str = ""  # webpush: the subscription's keys
    auth: str = ""


class Target(Message):
    """One target, without what it takes to reach it. `last` is `sent`, or why not; empty before the first message."""

    id: str
    kind: TargetKind
    name: str
    device: str  # that made it
    where: str  # what its owner knows it by; of a webhook and a push host the origin alone
    created: int
    last: str = ""
    last_at: int = 0


class Targets(Message):
    """GET /v1/targets: the caller's own, and what the operator's settings allow."""

    targets: list[Target]
    kinds: list[TargetKind]  # what can be added here
    hosts: list[str]  # notify.egress
    vapid: str  # the relay's key for push subscriptions: applicationServerKey


class TargetId(Message):
    """POST /v1/targets/remove, /v1/targets/test."""

    id: str


class TargetTried(Message):
    """What became of a test message. `outcome` is `sent`, `browser` (nothing is sent there), or why it failed."""

    sent: bool
    outcome: str


# ---- events ------------------------------------------------------------------------------------------------------------


class Event(Message):
    """One event of the feed. `subject` is what changed; whoever hears it fetches it."""

    id: int
    kind: Literal["prompt", "withdrawn", "state", "roster", "purge", "enrol", "secret"]
    oid: str = ""
    request: str = ""
    path: str = ""
    state: str = ""


class Events(Message):
    """GET /v1/events?after=CURSOR&wait=S for clients (long poll); GET /v1/stream for people (SSE, id = cursor)."""

    events: list[Event]
    cursor: int


# ---- log ---------------------------------------------------------------------------------------------------------------


class Leaves(Message):
    """GET /v1/audit?after=INDEX&limit=N: leaves as the exact canonical bytes that are hashed."""

    first: int
    leaves: list[str]  # canonical JSON text of each leaf
    checkpoint: str  # signed note


class Checkpoint(Message):
    """GET /v1/log/checkpoint."""

    checkpoint: str


class Consistency(Message):
    """GET /v1/log/consistency?old=N&new=M: RFC 6962 proof, base64url hashes."""

    proof: list[str]


class Nothing(Message):
    """A body without fields: `{}`."""


class Health(Message):
    """GET /livez, /readyz."""

    status: Literal["ok"]


class Problem(Message):
    """application/problem+json. `code` is stable; `detail` never repeats the request."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    field: str = ""
    remedy: str = ""
