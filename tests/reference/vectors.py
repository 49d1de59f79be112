"""The operations of the vector files, over this implementation. `run` answers or raises `Refused`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import enrol, hpke, leases, lifecycle, objects, paths, release, roster, seal, shares, signed
from .encoding import (
    Refused,
    b64,
    decode,
    domain,
    encode,
    limit_of,
    name_of,
    oid,
    sha256,
    type_of,
    unb64,
    visible,
)

Input = dict[str, Any]


def _bytes(text: str, length: int) -> bytes:
    raw = unb64(text)
    if len(raw) != length:
        raise Refused("field", f"not {length} bytes")
    return raw


def _trust(given: Input) -> roster.Trust:
    return roster.verify(given["pin"], given["roots"], given["roster"], given["now"], given.get("seen"))


def _decode(given: Input) -> Any:
    payload = unb64(given["payload"])
    decode(payload, limit_of(name_of(given["type"])))
    return {"oid": b64(oid(given["type"], payload))}


def _parse(given: Input) -> Any:
    payload = unb64(given["payload"])
    objects.parse(given["object"], payload)
    return {"oid": b64(oid(type_of(given["object"]), payload))}


def _verify(given: Input) -> Any:
    objects.key(given["key"])
    _, found = signed.verify(given["object"], given["signed"], [given["key"]], given["origins"])
    return {"oid": b64(found)}


def _count(given: Input) -> Any:
    for key in given["keys"]:
        objects.key(key)
    found = signed.count(given["object"], given["signed"], given["keys"], given["origins"])
    if found < given["threshold"]:
        raise Refused("threshold")
    signed.peek(given["object"], given["signed"])  # verified above
    return {"count": found}


def _path(given: Input) -> Any:
    paths.check_path(given["path"])
    return {}


def _pattern(given: Input) -> Any:
    paths.check_pattern(given["pattern"])
    return {}


def _match(given: Input) -> Any:
    if not paths.matches(paths.check_pattern(given["pattern"]), paths.check_path(given["path"])):
        raise Refused("no-match")
    return {}


def _open(given: Input) -> Any:
    raw = [unb64(given[name]) for name in ("secret_key", "enc", "ct")]
    return {"plaintext": b64(hpke.open_sealed(raw[0], encode(given["info"]), raw[1], raw[2], "open"))}


def _keys(given: Input) -> Any:
    dek, salt = unb64(given["dek"]), unb64(given["salt"])
    return {
        "payload_key": b64(seal.payload_key(dek, salt)),
        "dek_commitment": b64(seal.dek_commitment(dek, salt)),
        "share_commitment": b64(shares.commitment(salt, given["index"], dek)),
        "prf_input": b64(sha256(domain("prf-input", given["org"]))),
        "code": release.code(dek),
    }


def _payload(given: Input) -> Any:
    core = seal.check_core(given["core"])
    return {"data": b64(seal.open_payload(core, _bytes(given["dek"], 32), unb64(given["ciphertext"])))}


def _stanza(given: Input) -> Any:
    secret = objects.check("secret", given["secret"])
    return {"opened": b64(seal.open_stanza(secret, given["position"], unb64(given["secret_key"])))}


def _join(given: Input) -> Any:
    return {"secret": b64(shares.join([(index, _bytes(share, 32)) for index, share in given["shares"]]))}


def _share(given: Input) -> Any:
    salt, share, commitment = (_bytes(given[name], 32) for name in ("salt", "share", "commitment"))
    shares.check(salt, given["index"], share, commitment)
    return {}


def _pad(given: Input) -> Any:
    padded = seal.pad(bytes([given["byte"]]) * given["length"])
    return {"padded": b64(padded[:80]), "total": len(padded)}


def _secret(given: Input) -> Any:
    seal.verify_secret(_trust(given), given["secret"], given["path"], given["lowest"], given["now"])
    return {"oid": b64(signed.oid_of(given["secret"]))}


def _client(given: Input) -> Any:
    return release.check_client(
        _trust(given), given["request"], unb64(given["ephemeral_secret"]), given["secret"], unb64(given["ciphertext"]),
        given["releases"], given["remembered"], given["now"],
    )  # fmt: skip


def _approver(given: Input) -> Any:
    return release.check_prompt(
        _trust(given), given["own"], given["client_cert"], given["request"], given["secret"], given["memory"], given["now"]
    )


def _denied(given: Input) -> Any:
    return release.check_denial(_trust(given), given["request"], given["secret"], given["decision"], given["now"])


def _trust_op(given: Input) -> Any:
    found = _trust(given)
    return {"pair": found.pair, "oid": found.oid}


def _hit(given: Input) -> Any:
    leases.hit(given["lease"], given["start"], given["boot"], given["used"], given["before"], given["after"])
    return {}


OPERATIONS: dict[str, Callable[[Input], Any]] = {
    "decode": _decode,
    "parse": _parse,
    "base64": lambda given: {"hex": unb64(given["text"]).hex()},
    "visible": lambda given: {"text": visible(unb64(given["bytes"]))},
    "verify": _verify,
    "count": _count,
    "path": _path,
    "pattern": _pattern,
    "match": _match,
    "select": lambda given: {"policy": paths.select(given["policies"], given["path"])["id"]},
    "open": _open,
    "keys": _keys,
    "payload": _payload,
    "stanza": _stanza,
    "join": _join,
    "share": _share,
    "pad": _pad,
    "unpad": lambda given: {"data": b64(seal.unpad(unb64(given["padded"])))},
    "secret": _secret,
    "client": _client,
    "approver": _approver,
    "denied": _denied,
    "cards": lambda given: {"cards": release.cards(given["requests"])},
    "trust": _trust_op,
    "cert": lambda given: {"subject": roster.verify_cert(_trust(given), given["client_cert"], given["now"])["subject"]},
    "enrol": lambda given: enrol.check_enrol(given["pin"], given["origins"], unb64(given["nonce"]), given["enrol"]),
    "life": lambda given: {"steps": lifecycle.run(given["row"], given["events"])},
    "lease": lambda given: leases.terms(given["policy"], given["sealed_policy"], given["items"], given["request"]),
    "hit": _hit,
}


def run(op: str, given: Input) -> Any:
    return OPERATIONS[op](given)
