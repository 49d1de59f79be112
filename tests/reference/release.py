"""Protocol sections 7 and 8: the checks of the approver's device and of the client, release, denial, cards."""

from __future__ import annotations

from typing import Any

from . import hpke, keys, leases, objects, shares, signed
from .encoding import WRAPPER_LIMIT, Refused, b64, domain, encode, unb64
from .paths import ID, matches
from .roster import (
    SKEW,
    Trust,
    check_same_org,
    device_in_date,
    in_date,
    tier_at_least,
    verify_cert,
)
from .seal import authentic, open_payload, open_stanza, verify_secret

PERSON = "person/"


def code(oid: bytes) -> str:
    """6: the first 20 bits of the request's oid, modulo 10^6, six digits."""
    return f"{(int.from_bytes(oid[:3]) >> 4) % 10**6:06d}"


# ---- the approver, 7.1 to 7.3 ----------------------------------------------------------------------------------------------


def check_purpose(trust: Trust, subject: str, purpose: str) -> None:
    """6: a reseal by the certificate of a rostered sealer alone, and nothing else by a subject below `person/`."""
    name = subject.removeprefix(PERSON)
    if purpose == "reseal":
        if not subject.startswith(PERSON) or not ID.match(name) or not trust.has_role(name, "sealer"):
            raise Refused("purpose", "a reseal by somebody else than a rostered sealer")
    elif subject.startswith(PERSON):
        raise Refused("purpose", "a person's certificate raises reseals alone")


def verify_request(
    trust: Trust, cert_wrapper: Any, request_wrapper: Any, now: int, decided: list[list[str]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """7.1 and 7.2. Returns request and certificate."""
    named = signed.peek("request", request_wrapper)["client"]
    # 7.1 the certificate that the request names, good under the newest root
    signed.opened("client-cert", cert_wrapper)
    if b64(signed.oid_of(cert_wrapper)) != named:
        raise Refused("cert", "not the certificate that the request names")
    cert = verify_cert(trust, cert_wrapper, now)
    request, _ = signed.verify("request", request_wrapper, [cert["key"]], [])
    check_same_org(request, trust)
    trust.not_newer(request["roster"])
    if objects.GRADES.index(request["observed"]["grade"]) > objects.GRADES.index(cert["grade"]):
        raise Refused("grade", "claims a better grade than its certificate")
    # 7.2 scope, purpose, hold
    path, subject = request["path"], cert["subject"]
    if not any(matches(scope, path) for scope in cert["scopes"]):
        raise Refused("scope")
    check_purpose(trust, subject, request["purpose"])
    for hold in trust.roster["holds"]:
        held = hold["subject"] == subject if "subject" in hold else matches(hold["match"], path)
        if held and now < hold["until"]:
            raise Refused("hold")
    # 7.2 dates; the ttl is that of the current policy, for a reseal too
    if request["issued"] > now + SKEW:
        raise Refused("clock", "issued in the future")
    if now >= request["expires"]:
        raise Refused("expired")
    if not 0 < request["expires"] - request["issued"] <= trust.policy(path)["ttl"]:
        raise Refused("ttl")
    # 7.2 once, and to a key that exists
    if [request["client"], request["id"]] in decided:
        raise Refused("replay")
    check_ephemeral(request)
    return request, cert


def check_ephemeral(request: dict[str, Any]) -> None:
    if request["suite"] != "p256":
        raise Refused("suite")
    keys.point(unb64(request["ephemeral"]), "ephemeral")


def lowest_of(request: dict[str, Any], remembered: list[int] | None) -> list[list[int]]:
    return [request["minimum"], *([remembered] if remembered is not None else [])]


def governing(trust: Trust, request: dict[str, Any], core: dict[str, Any]) -> dict[str, Any]:
    """6: people, threshold and tier are those of the current policy; for a reseal those of the sealed one."""
    if request["purpose"] == "reseal":
        sealed: dict[str, Any] = core["policy"]
        return sealed
    return trust.policy(request["path"])


def check_approver(trust: Trust, policy: dict[str, Any], person: str, device: str, now: int) -> dict[str, Any]:
    """7.3, 8: a rostered approver of the policy with a device in date and of the tier."""
    entry = trust.device(person, device)
    if person not in policy["people"] or not trust.has_role(person, "approver"):
        raise Refused("not-approver")
    if entry is None or not device_in_date(entry, now):
        raise Refused("device")
    if not tier_at_least(entry["tier"], policy["tier"]):
        raise Refused("tier")
    return entry


def check_prompt(
    trust: Trust, own: list[str], cert_wrapper: Any, request_wrapper: Any, secret_wrapper: Any, memory: dict[str, Any],
    now: int,
) -> dict[str, Any]:  # fmt: skip
    """7, items 1 to 3: what may be shown to the person at all."""
    request, cert = verify_request(trust, cert_wrapper, request_wrapper, now, memory["decided"])
    path = request["path"]
    lowest = lowest_of(request, memory["secrets"].get(path))
    secret = verify_secret(trust, secret_wrapper, path, lowest, now, reseal=request["purpose"] == "reseal")
    core = secret["core"]
    check_approver(trust, governing(trust, request, core), own[0], own[1], now)
    for position, (index, person, device) in enumerate(core["recipients"]):
        if [person, device] == own:
            number = code(signed.oid_of(request_wrapper))
            return {"code": number, "index": index, "position": position, "host": cert["host"]}
    raise Refused("not-recipient", "the secret was not sealed to this device")


def release_info(request: bytes, decision: bytes, secret: bytes, index: int) -> bytes:
    return domain("release", b64(request), b64(decision), b64(secret), index)


def seal_release(
    decision: dict[str, Any], request_wrapper: Any, secret_wrapper: Any, index: int, content: bytes, ephemeral: bytes
) -> list[str]:
    """7.5: one entry of `sealed`. `content` is the dek or share; `ephemeral` the sender's fresh scalar."""
    request = signed.peek("request", request_wrapper)
    ids = (signed.oid_of(request_wrapper), signed.oid_of(decision), signed.oid_of(secret_wrapper))
    enc, ct = hpke.seal(unb64(request["ephemeral"]), release_info(*ids, index), content, ephemeral)
    return [b64(ids[0]), b64(enc), b64(ct)]


def release(
    decision: dict[str, Any], position: int, index: int, secret_key: bytes, request_wrapper: Any, secret_wrapper: Any,
    ephemeral: bytes,
) -> dict[str, Any]:  # fmt: skip
    """7.5 for one item: open the own stanza, seal its content to the request."""
    content = open_stanza(signed.peek("secret", secret_wrapper), position, secret_key)
    return {
        "decision": decision,
        "sealed": [seal_release(decision, request_wrapper, secret_wrapper, index, content, ephemeral)],
    }


# ---- the client, 8 ---------------------------------------------------------------------------------------------------------


def verify_decision(trust: Trust, wrapper: Any, *, deny: bool) -> tuple[dict[str, Any], bytes]:
    """8: signed by a key of the rostered device that it names, in this organisation, under no newer roster."""
    named = signed.peek("decision", wrapper)
    device = trust.device(named["person"], named["device"])
    if device is None:
        raise Refused("device", "not a rostered device")
    listed = device["auth"] + ([device["deny"]] if deny and "deny" in device else [])
    decision, oid = signed.verify("decision", wrapper, listed, trust.origins)
    check_same_org(decision, trust)
    trust.not_newer(decision["roster"])
    return decision, oid


def own_item(decision: dict[str, Any], request_oid: str) -> dict[str, Any]:
    """4, 8: one item with this request's oid, and no request twice in one decision."""
    named = [item["request"] for item in decision["items"]]
    if named.count(request_oid) != 1 or len(set(named)) != len(named):
        raise Refused("item", "not one item for this request")
    item: dict[str, Any] = decision["items"][named.index(request_oid)]
    return item


def check_approval(
    trust: Trust, policy: dict[str, Any], wrapper: Any, request_oid: str, secret_oid: str, core: dict[str, Any], now: int
) -> tuple[dict[str, Any], bytes, dict[str, Any]]:
    """8, "each decision". Returns decision, its oid, and the item."""
    decision, oid = verify_decision(trust, wrapper, deny=False)
    person, device = decision["person"], decision["device"]
    check_approver(trust, policy, person, device, now)
    if decision["verdict"] != "approve":
        raise Refused("verdict")
    in_date(decision, now)
    item = own_item(decision, request_oid)
    wanted = [secret_oid, core["path"], core["version"], core["revision"]]
    if [item["secret"], item["path"], item["version"], item["revision"]] != wanted:
        raise Refused("item", "approves another secret, path or version")
    if [item["index"], person, device] not in core["recipients"]:
        raise Refused("index", "not a recipient under this index")
    return decision, oid, item


def check_distinct(people: list[str], indices: list[int], threshold: int) -> None:
    if len(set(people)) != len(people):
        raise Refused("same-person", "a quorum counts people")
    if len(set(indices)) != len(indices):
        raise Refused("index", "one index twice")
    if len(people) < threshold:
        raise Refused("quorum", "fewer people than the sealed threshold")


def open_release(
    wrapper: dict[str, Any], ids: tuple[bytes, bytes, bytes], index: int, ephemeral_secret: bytes
) -> bytes:
    """8: the dek or share of one release. `ids`: request, decision, secret."""
    own = [entry for entry in wrapper["sealed"] if entry[0] == b64(ids[0])]
    if len(own) != 1:
        raise Refused("release", "not one sealed part for this request")
    enc, ct = unb64(own[0][1]), unb64(own[0][2])
    return hpke.open_sealed(ephemeral_secret, release_info(*ids, index), enc, ct, "release")


def join(core: dict[str, Any], opened: list[tuple[int, bytes]], ciphertext: bytes) -> bytes:
    """8: commitments, joining, dek, payload."""
    if core["policy"]["threshold"] == 1:
        data = [open_payload(core, dek, ciphertext) for _, dek in opened]  # each one must be the dek
        return data[0]
    salt, committed = unb64(core["salt"]), dict(core["share_commitments"])
    for index, share in opened:
        shares.check(salt, index, share, unb64(committed[index]))
    return open_payload(core, shares.join(opened), ciphertext)


def check_client(
    trust: Trust, request_wrapper: Any, ephemeral_secret: bytes, secret_wrapper: Any, ciphertext: bytes,
    releases: list[Any], remembered: list[int] | None, now: int,
) -> dict[str, Any]:  # fmt: skip
    """8: everything that the client checks before it delivers, in order."""
    # 8.1 the own request: of this organisation, under no newer roster, unexpired
    request, request_oid = signed.peek("request", request_wrapper), signed.oid_of(request_wrapper)
    check_same_org(request, trust)
    trust.not_newer(request["roster"])
    if now >= request["expires"]:
        raise Refused("expired")
    # 8.2 the secret, as 7.3 without self
    reseal = request["purpose"] == "reseal"
    lowest = lowest_of(request, remembered)
    core = verify_secret(trust, secret_wrapper, request["path"], lowest, now, reseal=reseal)["core"]
    secret_oid = signed.oid_of(secret_wrapper)
    # 8.3 each decision
    policy = governing(trust, request, core)
    found = []
    for wrapper in releases:
        objects.release_wrapper(wrapper)
        if len(encode(wrapper)) > WRAPPER_LIMIT:
            raise Refused("size", "the release is too large")
        ids = (b64(request_oid), b64(secret_oid))
        found.append(check_approval(trust, policy, wrapper["decision"], *ids, core, now))
    # 8.4 distinct people, as many as the sealed policy wants
    people = [decision["person"] for decision, _, _ in found]
    check_distinct(people, [item["index"] for _, _, item in found], core["policy"]["threshold"])
    # 8.5 open each, check, join, decrypt
    opened = [
        (item["index"], open_release(wrapper, (request_oid, oid, secret_oid), item["index"], ephemeral_secret))
        for wrapper, (_, oid, item) in zip(releases, found, strict=True)
    ]
    data = join(core, opened, ciphertext)
    lease = leases.terms(trust.policy(request["path"]), core["policy"], [item for _, _, item in found], request)
    return {"data": b64(data), "lease": lease}


def check_denial(
    trust: Trust, request_wrapper: Any, secret_wrapper: Any, decision_wrapper: Any, now: int
) -> dict[str, Any]:
    """8, last rule: one deny or freeze. Tier, secret and quorum are not asked."""
    request = signed.peek("request", request_wrapper)
    check_same_org(request, trust)
    trust.not_newer(request["roster"])
    decision, _ = verify_decision(trust, decision_wrapper, deny=True)
    person, device = decision["person"], decision["device"]
    if request["purpose"] == "reseal":  # whose people they are must be authentic; how old the secret is does not matter
        policy = authentic(trust, secret_wrapper, request["path"])["core"]["policy"]
    else:
        policy = trust.policy(request["path"])
    check_approver(trust, {**policy, "tier": "soft"}, person, device, now)
    if decision["verdict"] not in ("deny", "freeze"):
        raise Refused("verdict")
    in_date(decision, now)
    own_item(decision, b64(signed.oid_of(request_wrapper)))
    return {"verdict": decision["verdict"], "person": person, "device": device}


# ---- cards, 6 --------------------------------------------------------------------------------------------------------------


def cards(requests: list[Any]) -> list[list[int]]:
    """Requests of one command: same client, `issued`, `expires`, `observed`, `claimed`. Positions, in order of arrival."""
    groups: dict[bytes, list[int]] = {}
    for position, wrapper in enumerate(requests):
        request = signed.peek("request", wrapper)
        same = [request[name] for name in ("client", "issued", "expires", "observed", "claimed")]
        groups.setdefault(encode(same), []).append(position)
    return list(groups.values())
