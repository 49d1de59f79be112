"""What each channel sends: a count, an opaque id, a link. No secret, host, program or person is named (A26).

`Sender.send` makes one try and says by `Unsent` why it failed. Nobody but this module knows what a target's credentials are for.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from stillvault.crypto import public
from stillvault.protocol.messages import TargetKind
from stillvault.relay.notify import http
from stillvault.relay.notify.egress import Egress, Unsent
from stillvault.relay.notify.mail import Letter, Mailer
from stillvault.relay.notify.webpush import Vapid, encrypt
from stillvault.relay.places import Place, place
from stillvault.relay.refusals import public_host
from stillvault.relay.settings import Notify

TITLE = "Stillvault"
PUSH_TTL = 300  # seconds that a push host may keep a message: a card seldom waits longer
GONE = ("http-404", "http-410")  # RFC 8030, section 7.3: the subscription has ended


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a target is, as the database keeps it. Holds credentials: `repr` shows nothing."""

    url: str = ""
    topic: str = ""
    token: str = ""
    secret: str = ""
    mail: str = ""
    p256dh: str = ""
    auth: str = ""

    def __repr__(self) -> str:
        return "Address(..)"


@dataclass(frozen=True, slots=True)
class Message:
    """`waiting` 0 is a test."""

    waiting: int
    card: str
    link: str
    at: int

    @property
    def text(self) -> str:
        if not self.waiting:
            return "This is a test."
        return "1 release is waiting" if self.waiting == 1 else f"{self.waiting} releases are waiting"


Way = Callable[[Address, Message], Awaitable[None]]


class Sender:
    """Sends a message to a target, by the settings of this relay."""

    def __init__(self, settings: Notify, origin: str, vapid: Vapid) -> None:
        self.egress = Egress(settings.egress)
        self.origin = origin
        self.vapid = vapid
        self._seconds = settings.timeout_seconds
        self._tls = http.authorities("notify.ca", settings.ca)
        self.mailer = Mailer(settings, self.egress, self._tls)
        self._ways: Mapping[str, Way] = {
            "webpush": self._webpush,
            "ntfy": self._ntfy,
            "gotify": self._gotify,
            "webhook": self._webhook,
            "smtp": self._mail,
        }

    @property
    def kinds(self) -> list[TargetKind]:
        """What the operator's settings leave possible. `browser` needs no message."""
        kinds: list[TargetKind] = ["browser"]
        if self.egress:
            kinds += ["webpush", "ntfy", "gotify", "webhook"]
        return [*kinds, "smtp"] if self.mailer else kinds

    def message(self, waiting: int, card: bytes, now: int) -> Message:
        """A message about a card, by the name that its people see; without one, a test."""
        name = card.hex()[:12]
        return Message(waiting, name, f"{self.origin}/pending" + (f"/{name}" if name else ""), now)

    async def send(self, kind: str, address: Address, message: Message) -> None:
        """One try. Raises `Unsent`."""
        await self._ways[kind](address, message)

    async def _post(self, where: Place, headers: Mapping[str, str], body: bytes) -> None:
        await http.post(self.egress, self._tls, self._seconds, where, headers, body)

    async def _ntfy(self, address: Address, message: Message) -> None:
        """docs.ntfy.sh/publish: the text is the body, the rest are headers."""
        where = place(f"{address.url}/{address.topic}")
        headers = {"Title": TITLE, "Priority": "high", "Click": message.link}
        if address.token:
            headers["Authorization"] = f"Bearer {address.token}"
        await self._post(where, headers, message.text.encode())

    async def _gotify(self, address: Address, message: Message) -> None:
        """gotify.net/api-docs: POST /message with the token of an application."""
        said = {
            "title": TITLE,
            "message": message.text,
            "priority": 8,
            "extras": {"client::notification": {"click": {"url": message.link}}},
        }
        headers = {"Content-Type": "application/json", "X-Gotify-Key": address.token}
        await self._post(place(f"{address.url}/message"), headers, json.dumps(said).encode())

    async def _webhook(self, address: Address, message: Message) -> None:
        """Signed: http.signed."""
        said = {
            "v": 1,
            "event": "waiting" if message.waiting else "test",
            "waiting": message.waiting,
            "card": message.card,
            "url": message.link,
            "text": f"{message.text}: {message.link}",
            "time": message.at,
        }
        body = json.dumps(said, separators=(",", ":")).encode()
        await self._post(place(address.url), http.signed(address.secret, message.at, body), body)

    async def _webpush(self, address: Address, message: Message) -> None:
        """RFC 8030 and the two beside it. The browser's worker makes the words from the count."""
        where = place(address.url)
        said = json.dumps({"waiting": message.waiting, "card": message.card}).encode()
        once = ec.generate_private_key(ec.SECP256R1())
        body = encrypt(public.b64decode(address.p256dh), public.b64decode(address.auth), said, once, os.urandom(16))
        headers = {
            "TTL": str(PUSH_TTL),
            "Urgency": "high",
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "Authorization": self.vapid.authorization(where.origin, message.at),
        }
        try:
            await self._post(where, headers, body)
        except Unsent as error:
            if error.code in GONE:
                raise Unsent("gone") from None
            raise

    async def _mail(self, address: Address, message: Message) -> None:
        text = f"{message.text}\n\n{message.link}\n"
        await self.mailer.send(Letter(address.mail, message.text, text, public_host(self.origin)[0]))
