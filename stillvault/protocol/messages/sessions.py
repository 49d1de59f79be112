"""Sign-in: of devices and clients, of a browser by its passkey; the sessions that stand."""

from __future__ import annotations

from msgspec import UNSET, Raw, UnsetType

from stillvault.protocol.messages.base import Message


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
