"""A person's home at work: its keys, its relay, its session and its trust, each opened when first needed.

Whoever holds an `Account` has called nobody yet. `trust()` is what every decision begins with; `call` signs in when it must.
The passphrase is asked for at most once, by a function that the command line gives.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from stillvault.approver import keyfile, sheet
from stillvault.crypto.private import KemKey, SigningKey, harden_process
from stillvault.crypto.public import Trust, b64decode
from stillvault.protocol import messages
from stillvault.protocol.errors import Refused, Usage
from stillvault.protocol.messages import Message
from stillvault.protocol.objects import Root
from stillvault.transport.home import Home, Organisation, Person
from stillvault.transport.http import Relay, RelayRefused
from stillvault.transport.identity import StoredKey
from stillvault.transport.session import forget_session, keep_session, kept_session, sign_in
from stillvault.transport.trust import TrustStore

T = TypeVar("T")
DEVICE_KEY = "keys/device.key"
DENY_KEY = "keys/deny.key"
ROOT_KEY = "keys/root.key"


@dataclass(frozen=True)
class DeviceKeys:
    """The opened keys of one device."""

    auth: SigningKey
    kem: KemKey
    client: SigningKey | None


class Account:
    """The person, device and organisation of a home. Belongs to one thread."""

    def __init__(self, home: Home, passphrase: Callable[[str], bytes], clock: Callable[[], int],
                 paper: Callable[[], bytes] | None = None) -> None:
        """`paper` gives the root key as the recovery kit has it; without, the home holds it or nobody does."""
        self.home = home
        self.clock = clock
        self.organisation: Organisation = home.organisation()
        self.person: Person = home.person()
        self.store = TrustStore(home)
        self.relay = Relay(self.organisation.relay, home.ca())
        self._passphrase = passphrase
        self._paper = paper
        self._keys: DeviceKeys | None = None
        self._root_key: SigningKey | None = None
        self._token = ""
        self._trust: Trust | None = None

    @property
    def own(self) -> tuple[str, str]:
        """Person and device id."""
        return self.person.person, self.person.device

    @property
    def org(self) -> bytes:
        """The pinned org_id."""
        return b64decode(self.organisation.org_id)

    def keys(self) -> DeviceKeys:
        """The device's keys; asks for the passphrase where the file needs one."""
        if self._keys is None:
            harden_process()  # no core dump, no debugger of the same account, before a key is in memory
            held = self.open_file(DEVICE_KEY, "device")
            self._keys = DeviceKeys(
                auth=keyfile.signing_key(held.auth_alg, held.auth),
                kem=keyfile.kem_key(held.kem),
                client=keyfile.signing_key("ed25519", held.client) if held.client else None,
            )
        return self._keys

    def root_key(self) -> SigningKey:
        """The root key: of the paper where somebody brought it, else of the home that created the organisation."""
        if self._root_key is None:
            harden_process()
            if self._paper is not None:
                root = msgspec.json.decode(self.store.current(self.clock()).root, type=Root)
                self._root_key = sheet.root_key(self._paper(), self.organisation, root)
            elif self.home.exists(ROOT_KEY):
                self._root_key = keyfile.signing_key("ed25519", self.open_file(ROOT_KEY, "root").root)
            else:
                raise Usage("no-key", f"{self.home.path} does not hold the root key",
                            "use the home that created the organisation, or give --root-key-file - and the key on the recovery "
                            "kit's sheet")
        return self._root_key

    def has_root_key(self) -> bool:
        """Whether `root_key` has somewhere to take it from."""
        return self._paper is not None or self.home.exists(ROOT_KEY)

    def deny_key(self) -> SigningKey:
        """The key that says no without a passphrase; the device's own where there is none."""
        stored = self.home.read(DENY_KEY, StoredKey)
        return self.keys().auth if stored is None else SigningKey.from_bytes(stored.alg, b64decode(stored.secret))

    def open_file(self, name: str, use: str) -> keyfile.Secrets:
        raw = self.home.read_bytes(name)
        if raw is None:
            raise Usage("no-key", f"{self.home.path / name} is not here", "use the home that holds it")
        return keyfile.unlock(raw, use, self._passphrase(use) if keyfile.is_locked(raw) else None)

    def token(self) -> str:
        """A session's bearer: the kept one, else a new sign-in."""
        if not self._token:
            self._token = kept_session(self.home, "/".join(self.own), self.clock())
        if not self._token:
            keys = self.keys()
            with self._naming_the_clock():
                session = sign_in(self.relay, lambda payload: keys.auth.sign("login", payload), org=self.org,
                                  person=self.person.person, device=self.person.device, now=self.clock())
            keep_session(self.home, "/".join(self.own), session)
            self._token = session.token
        return self._token

    def call(self, method: str, path: str, body: Message | None = None, *, returns: type[T]) -> T:
        """A call in this person's session; signs in anew, once, when the relay no longer knows it."""
        try:
            return self.relay.call(method, path, body, returns=returns, token=self.token())
        except RelayRefused as error:
            if error.status != 401:
                raise
            forget_session(self.home)
            self._token = ""
            return self.relay.call(method, path, body, returns=returns, token=self.token())

    def trust(self, *, fresh: bool = False) -> Trust:
        """Root chain and roster as the relay serves them now, verified; once in the life of this object unless `fresh`."""
        if self._trust is None or fresh:
            given = self.call("GET", "/v1/trust", returns=messages.Trust)
            with self._naming_the_clock():
                self._trust = self.store.accept(given, self.clock())
        return self._trust

    @contextlib.contextmanager
    def _naming_the_clock(self) -> Iterator[None]:
        try:
            yield
        except (Refused, RelayRefused) as error:
            self.relay.name_the_clock(error, self.clock())
            raise

    def close(self) -> None:
        self.relay.close()
