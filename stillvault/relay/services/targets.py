"""Each person's own notification targets: added, listed, removed, tried. A person sees and changes their own and no others.

What a target needs to be reached (a token, a key, a webhook's URL, a push subscription) is taken in and never given out again.
"""

from __future__ import annotations

import re
import secrets as randomness

import msgspec

from stillvault.crypto import public
from stillvault.protocol import messages
from stillvault.protocol.errors import Refused
from stillvault.relay.context import Call
from stillvault.relay.notify.channels import Address
from stillvault.relay.notify.egress import Unsent
from stillvault.relay.notify.webpush import check_keys
from stillvault.relay.places import Place, allowed_host, place
from stillvault.relay.problems import ProblemError
from stillvault.relay.refusals import MAIL_ADDRESS
from stillvault.relay.store import targets as store
from stillvault.relay.store.targets import StoredTarget
from stillvault.relay.store.transaction import Transaction

ID_BYTES = 16
# Which fields a kind takes, beside `kind` and `name`. Those in brackets may be empty.
FIELDS: dict[str, tuple[str, ...]] = {
    "browser": (),
    "webpush": ("url", "p256dh", "auth"),
    "ntfy": ("url", "topic", "(token)"),
    "gotify": ("url", "token"),
    "webhook": ("url", "secret"),
    "smtp": ("address",),
}
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")  # as ntfy has it
_TOKEN = re.compile(r"[!-~]{1,256}")
_KEY = re.compile(r"[!-~]{32,256}")
_GIVEN = ("url", "topic", "token", "secret", "address", "p256dh", "auth")


def listed(call: Call) -> messages.Targets:
    sender = call.relay.sender
    mine = [_shown(one) for one in store.of_person(call.relay.reader, call.who.person)]
    return messages.Targets(mine, sender.kinds, list(call.relay.settings.notify.egress), public.b64encode(sender.vapid.public))


def _shown(target: StoredTarget) -> messages.Target:
    """`where` is what its owner knows it by, without what lets others send or subscribe."""
    address = msgspec.json.decode(target.address, type=Address)
    where = {
        "ntfy": f"{address.url}/{address.topic}",
        "gotify": address.url,
        "smtp": address.mail,
    }.get(target.kind, place(address.url).origin if address.url else "")
    kind, device = target.kind, target.device
    return messages.Target(target.id, kind, target.name, device, where, target.created, target.last, target.last_at)  # type: ignore[arg-type]  # the column's CHECK


async def add(call: Call, body: messages.NewTarget) -> messages.Target:
    """Takes a target.

    1. its name is an id, each field is of its form, and no field of another kind is given
    2. the operator allows the host
    3. the person has room for it, and no other of that name
    """
    # 1.
    address = _address(body)
    # 2.
    _allowed(call, body, address)
    target = StoredTarget(
        public.b64encode(randomness.token_bytes(ID_BYTES)), call.who.person, body.name, body.kind, call.who.device,
        msgspec.json.encode(address).decode(), call.now,
    )  # fmt: skip

    def change(tx: Transaction) -> None:
        # 3.
        if len(store.of_person(tx.connection, call.who.person)) >= call.relay.settings.notify.targets_per_person:
            raise ProblemError("rate-limited", "a person has no more targets than that", "notify.targets_per_person")
        if not store.add(tx.connection, target):
            raise ProblemError("conflict", "a target of yours has this name", "name")
        outcome = f"target added: {body.name}"
        tx.leaf("config", call.who.actor, call.now, device=call.who.device, channel=body.kind, outcome=outcome)

    await call.relay.writer.write(change)
    return _shown(target)


async def remove(call: Call, id: str) -> None:
    """Ends a target and all that waits for it."""
    target = _mine(call, id)

    def change(tx: Transaction) -> None:
        store.remove(tx.connection, target.id)
        outcome = f"target removed: {target.name}"
        tx.leaf("config", call.who.actor, call.now, device=call.who.device, channel=target.kind, outcome=outcome)

    await call.relay.writer.write(change, essential=True)


async def test(call: Call, id: str) -> messages.TargetTried:
    """One test message, one try. The answer is what became of it; so is the row of the audit log."""
    relay, target = call.relay, _mine(call, id)
    if target.kind == "browser":
        return messages.TargetTried(sent=False, outcome="browser")
    relay.rates.count("notify.tests_per_minute", call.who.person, relay.settings.notify.tests_per_minute)
    outcome = "sent"
    try:
        address = msgspec.json.decode(target.address, type=Address)
        await relay.sender.send(target.kind, address, relay.sender.message(0, b"", call.now))
    except Unsent as error:
        outcome = error.code

    def change(tx: Transaction) -> None:
        now = relay.clock()
        store.note(tx.connection, target.id, outcome, now)
        said = f"target tested: {target.name}: {outcome}"
        tx.leaf("config", call.who.actor, now, device=call.who.device, channel=target.kind, outcome=said)

    await relay.writer.write(change)
    return messages.TargetTried(sent=outcome == "sent", outcome=outcome)


def _mine(call: Call, id: str) -> StoredTarget:
    """For anybody else there is no such target."""
    target = store.get(call.relay.reader, id)
    if target is None or target.person != call.who.person:
        raise ProblemError("unknown")
    return target


# ---- form --------------------------------------------------------------------------------------------------------------


def _refuse(rule: str, field: str) -> ProblemError:
    return ProblemError("target", rule, field)


def _address(body: messages.NewTarget) -> Address:
    try:
        public.check_id(body.name)
    except Refused:
        raise _refuse("a name is [a-z0-9][a-z0-9._-]{0,63}", "name") from None
    wanted = FIELDS[body.kind]
    for field in _GIVEN:
        value: str = getattr(body, field)
        if value and field not in wanted and f"({field})" not in wanted:
            raise _refuse(f"a target of kind {body.kind} has no such field", field)
        if not value and field in wanted:
            raise _refuse(f"a target of kind {body.kind} needs it", field)
    for field, form, rule in (
        ("topic", _TOPIC, "1 to 64 of A-Z a-z 0-9 _ -"),
        ("token", _TOKEN, "1 to 256 visible ASCII characters"),
        ("secret", _KEY, "32 to 256 visible ASCII characters"),
        ("address", MAIL_ADDRESS, "it is not a mail address"),
    ):
        value = getattr(body, field)
        if value and not form.fullmatch(value):
            raise _refuse(rule, field)
    if body.url:
        _check_url(body)
    if body.kind == "webpush":
        _check_subscription(body)
    return Address(body.url, body.topic, body.token, body.secret, body.address, body.p256dh, body.auth)


def _check_url(body: messages.NewTarget) -> None:
    where = _place(body.url)
    if body.kind in ("ntfy", "gotify") and (body.url.endswith("/") or "?" in where.path):
        raise _refuse("the server's URL, without a query and a slash at the end", "url")
    if body.kind == "webpush" and where.clear:
        raise _refuse("a push host speaks HTTPS", "url")


def _place(url: str) -> Place:
    try:
        return place(url)
    except ValueError as error:
        raise _refuse(str(error), "url") from None


def _check_subscription(body: messages.NewTarget) -> None:
    try:
        p256dh, auth = public.b64decode(body.p256dh), public.b64decode(body.auth)
    except Refused:
        raise _refuse("base64url without padding", "p256dh") from None
    if not check_keys(p256dh, auth):
        raise _refuse("an uncompressed point of P-256, and 16 bytes", "p256dh")


def _allowed(call: Call, body: messages.NewTarget, address: Address) -> None:
    sender, notify = call.relay.sender, call.relay.settings.notify
    if body.kind == "smtp":
        if not notify.smtp_server:
            raise ProblemError("egress", "the operator named no mail server", "address")
        server = allowed_host(notify.smtp_server)
        clear, host, port = server.clear, server.host, server.port
    elif address.url:
        where = _place(address.url)
        clear, host, port = where.clear, where.host, where.port
    else:
        return
    if not sender.egress.allows(clear, host, port):
        raise ProblemError("egress", field="url")
