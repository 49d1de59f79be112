"""Who can open what passed the proxy: the honest device must, the attacker must not."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

from stillvault.approver import keyfile
from stillvault.approver.account import DEVICE_KEY
from stillvault.approver.device import decision, facts_of, items_of, make_cards
from stillvault.crypto.private import Ephemeral, KemKey, check_prompt, open_releases, release
from stillvault.crypto.public import Trust, b64decode, b64encode, oid_of, payload_of, sha256
from stillvault.protocol.errors import Refused, StillvaultError
from stillvault.protocol.objects import Claimed, Observed, Request, canonical
from stillvault.transport.home import Home
from stillvault.transport.identity import load_client
from tests.hostile.leaves import dump
from tests.hostile.proxy import Message
from tests.hostile.town import SUBJECT, Stage, clock


def uploads(record: Sequence[Message]) -> list[tuple[bytes, bytes]]:
    """Every (secret, ciphertext) that a party sent, as it sent it."""
    found = []
    for message in record:
        if message.direction == "request" and message.route == "POST /v1/secrets":
            body = json.loads(message.body)
            found.append((dump(body["secret"]), b64decode(body["ciphertext"])))
    return found


def core_of(secret: bytes) -> dict[str, Any]:
    core: dict[str, Any] = json.loads(payload_of("secret", secret))["core"]
    return core


def recipients(secret: bytes) -> list[tuple[int, str, str]]:
    return [(index, person, device) for index, person, device in core_of(secret)["recipients"]]


def opens_to(wrong: list[str], stage: Stage, trust: Trust, secret: bytes, ciphertext: bytes, value: bytes) -> None:
    """Alice's device releases this seal to host/db-1, and that must give the value: done here, without any relay."""
    try:
        got = _open(stage, trust, secret, ciphertext)
    except StillvaultError as error:
        wrong.append(f"what was sealed cannot be opened: {error.code}")
        return
    if got != value:
        wrong.append("what was sealed opens to another value")


def _open(stage: Stage, trust: Trust, secret: bytes, ciphertext: bytes) -> bytes:
    home, now = Home(stage.path("alice")), clock()
    person, client = home.person(), load_client(Home(stage.path(SUBJECT)), SUBJECT)
    assert client is not None
    raw = home.read_bytes(DEVICE_KEY)
    assert raw is not None
    held = keyfile.unlock(raw, "device", None)
    ephemeral = Ephemeral.generate()
    org = home.organisation().org_id
    seen = Observed(host="db-1", uid=1, user="app", exe="/bin/app", exe_sha256=b64encode(sha256(b"app")), chain=[], grade="user")
    request = client.key.sign("request", canonical(Request(
        org=org, id=b64encode(secrets.token_bytes(16)), client=b64encode(oid_of(client.cert)), path=core_of(secret)["path"],
        minimum=(1, 0), suite="p256", ephemeral=b64encode(ephemeral.public), issued=now, expires=now + 20, window=0, uses=0,
        roster=trust.pair, purpose="use", observed=seen, claimed=Claimed())))
    prompt = check_prompt(trust, (person.person, person.device), client.cert, request, secret, False, None, now)
    card = make_cards([facts_of(prompt, trust.select_policy(prompt.request.path), ())])[0]
    payload = decision(org=org, verdict="approve", own=(person.person, person.device), items=items_of(card, "approve", None),
                       issued=now, expires=now + 20, roster=trust.pair, log_head=None)
    signed = keyfile.signing_key(held.auth_alg, held.auth).sign("decision", payload)
    released = release(trust, [prompt], signed, keyfile.kem_key(held.kem), now)
    return open_releases(trust, request, ephemeral, secret, ciphertext, [released], None, now).value.reveal()


def spoils(wrong: list[str], stage: Stage, name: str) -> None:
    """The attacker's key tries everything that `name` sent: stanzas of seals, entries of releases."""
    for secret, _ in uploads(stage.script.record):
        payload = json.loads(payload_of("secret", secret))
        core = b64encode(sha256(dump(payload["core"])))
        for position, (enc, ct) in enumerate(payload["stanzas"]):
            _try(wrong, stage.attacker, ["stillvault/v1/stanza", core, position], enc, ct, "a stanza")
    for message in stage.script.record:
        if message.name == f"{name} request POST /v1/decisions" and "release" in (body := json.loads(message.body)):
            signed = dump(body["release"]["decision"])
            items = {one["request"]: one for one in json.loads(payload_of("decision", signed))["items"]}
            for request, enc, ct in body["release"]["sealed"]:
                item = items[request]
                info = ["stillvault/v1/release", request, b64encode(oid_of(signed)), item["secret"], item["index"]]
                _try(wrong, stage.attacker, info, enc, ct, "a release")


def _try(wrong: list[str], key: KemKey, info: list[Any], enc: str, ct: str, what: str) -> None:
    try:
        key.open(json.dumps(info, separators=(",", ":")).encode(), b64decode(enc), b64decode(ct))
    except Refused:
        return
    wrong.append(f"the attacker's key opens {what}")

