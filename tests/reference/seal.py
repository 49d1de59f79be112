"""Protocol section 5: payload, padding, stanzas, sealing; and 7.3, the checks of a sealed secret, without self."""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import hpke, shares, signed
from .encoding import KIB, Refused, b64, domain, encode, sha256, unb64
from .hpke import hkdf
from .roster import SKEW, Trust, check_policy, check_same_org, device_in_date, tier_at_least

DATA_LIMIT = 60 * KIB  # bytes
SMALLEST = 64  # bytes after padding
RECOVERY = 128  # indices above it are recovery keys


def pad(data: bytes) -> bytes:
    """5.3: length, data, zeros, in all the least power of two >= 64 that holds it."""
    if len(data) > DATA_LIMIT:
        raise Refused("size", "a secret has at most 60 KiB")
    total = SMALLEST
    while total < 4 + len(data):
        total *= 2
    return (len(data).to_bytes(4) + data).ljust(total, b"\x00")


def unpad(padded: bytes) -> bytes:
    """Strictly the inverse: what `pad` would not have made is refused."""
    length = int.from_bytes(padded[:4])
    data = padded[4 : 4 + length]
    if len(padded) < SMALLEST or len(data) != length or length > DATA_LIMIT or pad(data) != padded:
        raise Refused("padding")
    return data


def payload_key(dek: bytes, salt: bytes) -> bytes:
    return hkdf(dek, salt, domain("payload"))


def dek_commitment(dek: bytes, salt: bytes) -> bytes:
    return hkdf(dek, salt, domain("dek-commit"))


def payload_aad(core: dict[str, Any]) -> bytes:
    return domain("payload", core["org"], core["path"], core["version"], core["revision"], core["salt"])


def encrypt_payload(core: dict[str, Any], dek: bytes, data: bytes) -> bytes:
    key = payload_key(dek, unb64(core["salt"]))
    return AESGCM(key).encrypt(bytes(12), pad(data), payload_aad(core))  # the key is used once: the nonce may be zero


def open_payload(core: dict[str, Any], dek: bytes, ciphertext: bytes) -> bytes:
    """8: dek commitment, length, hash, decryption, padding."""
    salt = unb64(core["salt"])
    if len(dek) != 32 or dek_commitment(dek, salt) != unb64(core["dek_commitment"]):
        raise Refused("dek", "not the key that the sealer committed to")
    if len(ciphertext) != core["length"] or sha256(ciphertext) != unb64(core["ciphertext_hash"]):
        raise Refused("ciphertext")
    try:
        padded = AESGCM(payload_key(dek, salt)).decrypt(bytes(12), ciphertext, payload_aad(core))
    except InvalidTag as error:
        raise Refused("decrypt") from error
    return unpad(padded)


def stanza_info(core: dict[str, Any], position: int) -> bytes:
    return domain("stanza", b64(sha256(encode(core))), position)


def open_stanza(secret: dict[str, Any], position: int, secret_key: bytes) -> bytes:
    """5.5: the dek or share of one recipient."""
    if not 0 <= position < len(secret["stanzas"]):
        raise Refused("stanza", "no such recipient")
    enc, ct = map(unb64, secret["stanzas"][position])
    return hpke.open_sealed(secret_key, stanza_info(secret["core"], position), enc, ct, "stanza")


# ---- sealing -------------------------------------------------------------------------------------------------------------


def recipients(trust: Trust, policy: dict[str, Any], now: int) -> list[list[Any]]:
    """5.1: every rostered device of the policy's people that is in date and of the tier, then the recovery keys."""
    found: list[list[Any]] = []
    for index, name in enumerate(policy["people"], 1):
        person = trust.person(name)
        for device in person["devices"] if person else []:
            if device_in_date(device, now) and tier_at_least(device["tier"], policy["tier"]):
                found.append([index, name, device["id"]])
    keys = policy.get("recovery", {}).get("keys", [])
    found += [[RECOVERY + n, "recovery", key["id"]] for n, key in enumerate(keys, 1)]
    return sorted(found, key=lambda entry: (entry[0], entry[2]))


def kem_public(trust: Trust, policy: dict[str, Any], recipient: list[Any]) -> bytes:
    index, person, name = recipient
    if index > RECOVERY:
        public: str = policy["recovery"]["keys"][index - RECOVERY - 1]["kem"]["public"]
        return unb64(public)
    device = trust.device(person, name)
    if device is None:
        raise Refused("device")
    return unb64(device["kem"]["public"])


def make_shares(policy: dict[str, Any], entries: list[list[Any]], dek: bytes, draw: Any) -> dict[int, bytes]:
    """5.4: shares by index. `draw(n)` gives n random bytes. Recovery keys have a polynomial of their own."""
    out: dict[int, bytes] = {}
    people = sorted({entry[0] for entry in entries if entry[0] <= RECOVERY})
    if policy["threshold"] > 1:
        out |= shares.split(dek, people, [draw(32) for _ in range(policy["threshold"] - 1)])
    if "recovery" in policy:
        indices = [entry[0] for entry in entries if entry[0] > RECOVERY]
        out |= shares.split(dek, indices, [draw(32) for _ in range(policy["recovery"]["threshold"] - 1)])
    return out


def seal(
    trust: Trust, by: tuple[str, str], path: str, data: bytes, version: list[int], now: int, draw: Any,
    previous: str | None = None,
) -> tuple[dict[str, Any], bytes]:  # fmt: skip
    """5: the secret object (not yet signed) and the ciphertext. `draw(n)` gives n random bytes."""
    policy = trust.policy(path)
    entries = recipients(trust, policy, now)
    if len({entry[0] for entry in entries if entry[0] <= RECOVERY}) < policy["threshold"]:
        raise Refused("recipients", "fewer people with a usable device than the policy wants")
    dek, salt = draw(32), draw(32)
    parts = make_shares(policy, entries, dek, draw)
    core: dict[str, Any] = {
        "org": trust.pin, "path": path, "version": version[0], "revision": version[1], "sealed": now,
        "by": {"person": by[0], "device": by[1]}, "policy": policy, "salt": b64(salt),
    }  # fmt: skip
    ciphertext = encrypt_payload(core, dek, data)
    core |= {
        "dek_commitment": b64(dek_commitment(dek, salt)),
        "ciphertext_hash": b64(sha256(ciphertext)),
        "length": len(ciphertext),
        "recipients": entries,
        "share_commitments": [[index, b64(shares.commitment(salt, index, parts[index]))] for index in sorted(parts)],
    }
    if previous is not None:
        core["previous"] = previous
    stanzas = []
    for position, entry in enumerate(entries):
        content = parts.get(entry[0], dek)
        enc, ct = hpke.seal(kem_public(trust, policy, entry), stanza_info(core, position), content, draw(32))
        stanzas.append([b64(enc), b64(ct)])
    return {"core": core, "stanzas": stanzas}, ciphertext


# ---- the checks of a sealed secret -----------------------------------------------------------------------------------------


def authentic(trust: Trust, wrapper: Any, path: str) -> dict[str, Any]:
    """7.3, first half: made by a rostered sealer of this organisation, for this path."""
    by = signed.peek("secret", wrapper)["core"]["by"]
    device = trust.device(by["person"], by["device"])
    if device is None or not trust.has_role(by["person"], "sealer"):
        raise Refused("sealer", "not sealed by a rostered sealer")
    secret, _ = signed.verify("secret", wrapper, device["auth"], trust.origins)
    core: dict[str, Any] = secret["core"]
    check_same_org(core, trust)
    if core["path"] != path:
        raise Refused("path-mismatch", "another secret than the one asked for")
    if not device["added"] <= core["sealed"] < device["expires"]:
        raise Refused("sealer", "sealed outside the device's time")
    return secret


def verify_secret(
    trust: Trust, wrapper: Any, path: str, lowest: list[list[int]], now: int, *, reseal: bool = False
) -> dict[str, Any]:
    """7.3 without self. `lowest` are the pairs that (version, revision) may not undercut, beside the floor."""
    secret = authentic(trust, wrapper, path)
    core = secret["core"]
    if core["sealed"] > now + SKEW:
        raise Refused("future", "sealed in the future")
    floors = [[version, revision] for name, version, revision in trust.roster["floors"] if name == path]
    if any([core["version"], core["revision"]] < pair for pair in lowest + floors):
        raise Refused("version", "older than a version seen or wanted")
    if not reseal and core["policy"]["threshold"] < trust.policy(path)["threshold"]:
        raise Refused("threshold", "sealed for fewer than the policy wants")
    check_recipients(secret)
    return secret


def check_recipients(secret: dict[str, Any]) -> None:
    """7.3 by 4 and 5: recipients, commitments and stanzas are those that the sealed policy calls for."""
    core = secret["core"]
    policy, entries = core["policy"], core["recipients"]
    check_policy(policy, "recipients")
    order = [(entry[0], entry[2]) for entry in entries]
    if order != sorted(set(order)):
        raise Refused("recipients", "not sorted, or one stands twice")
    people = [entry for entry in entries if entry[0] <= RECOVERY]
    for index, person, _ in people:
        if not 1 <= index <= len(policy["people"]) or policy["people"][index - 1] != person:
            raise Refused("recipients", "an index that is not the person's")
    if len({entry[0] for entry in people}) < policy["threshold"]:
        raise Refused("recipients", "fewer people than the threshold")
    keys = policy.get("recovery", {}).get("keys", [])
    wanted = [[RECOVERY + n, "recovery", key["id"]] for n, key in enumerate(keys, 1)]
    if entries[len(people) :] != wanted:
        raise Refused("recipients", "not the recovery keys of the policy")
    with_share = sorted({entry[0] for entry in people}) if policy["threshold"] > 1 else []
    with_share += [entry[0] for entry in wanted]
    if [index for index, _ in core["share_commitments"]] != with_share:
        raise Refused("recipients", "commitments of other indices than those with a share")
    if len(secret["stanzas"]) != len(entries):
        raise Refused("recipients", "not one stanza for each recipient")

