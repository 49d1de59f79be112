"""The operations of the vector files, over this implementation. `run` answers or raises `Refused`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import enrol, hpke, leases, lifecycle, objects, paths, recovery, release, roster, seal, shares, signed
from .encoding import (
    Refused,
    b64,
    check_form,
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


def _formed(shape: objects.Shape) -> objects.Shape:
    """Form first, then shape: for what stands in a payload otherwise."""

    def check(value: Any) -> None:
        check_form(value)
        shape(value)

    return check


def _given(shapes: dict[str, objects.Shape]) -> objects.Shape:
    """What an operation needs. A name that ends in `_opt` may be absent or null; what else is there is not looked at."""

    def check(value: Any) -> None:
        if not isinstance(value, dict):
            raise Refused("field", "not an object")
        for name, shape in shapes.items():
            item = value.get(name.removesuffix("_opt"))
            if item is not None:
                shape(item)
            elif not name.endswith("_opt"):
                raise Refused("field", f"{name} is missing")

    return check


def _anything(_: Any) -> None:
    """Looked at by the operation itself, with a code of its own."""


_TRUST: dict[str, objects.Shape] = {
    "pin": objects.oid, "roots": objects.many(_anything), "roster": _anything, "now": objects.number,
    "seen_opt": _given({"roster": objects.pair, "oid": objects.oid}),
}  # fmt: skip
_TERMS: dict[str, objects.Shape] = {"window": objects.number, "uses": objects.number}
_POLICY_TERMS = _given({**_TERMS, "scope": objects.text})
_TEXTS = objects.many(objects.text)

# What an operation is given. A vector that does not fit is refused with `field`, like anything else from outside.
NEEDS: dict[str, dict[str, objects.Shape]] = {
    "decode": {"type": objects.text, "payload": objects.text},
    "parse": {"object": objects.text, "payload": objects.text},
    "base64": {"text": objects.text},
    "visible": {"bytes": objects.text},
    "verify": {"signed": _anything, "object": objects.text, "key": objects.key, "origins": _TEXTS},
    "count": {
        "signed": _anything, "object": objects.text, "keys": objects.many(objects.key), "origins": _TEXTS,
        "threshold": objects.number,
    },
    "path": {"path": objects.text},
    "pattern": {"pattern": objects.text},
    "match": {"pattern": objects.text, "path": objects.text},
    "select": {"policies": _formed(objects.many(objects.policy)), "path": objects.text},
    "open": {"secret_key": objects.text, "info": objects.many(_anything), "enc": objects.text, "ct": objects.text},
    "keys": {"dek": objects.oid, "salt": objects.oid, "index": objects.number, "org": objects.oid},
    "payload": {"core": _formed(objects.core), "dek": objects.oid, "ciphertext": objects.raw()},
    "stanza": {"secret": _formed(objects.SHAPES["secret"]), "position": objects.number, "secret_key": objects.raw()},
    "join": {"shares": objects.many(objects.row(objects.number, objects.oid))},
    "share": {"salt": objects.oid, "index": objects.number, "share": objects.oid, "commitment": objects.oid},
    "pad": {"length": objects.number, "byte": objects.number},
    "unpad": {"padded": objects.raw()},
    "secret": {**_TRUST, "secret": _anything, "path": objects.text, "lowest": objects.many(objects.pair)},
    "client": {
        **_TRUST, "request": _anything, "ephemeral_secret": objects.oid, "secret": _anything, "ciphertext": objects.raw(),
        "releases": objects.many(_anything), "remembered_opt": objects.pair,
    },
    "approver": {
        **_TRUST, "own": objects.row(objects.text, objects.text), "client_cert": _anything, "request": _anything,
        "secret": _anything, "memory": _given({"decided": objects.many(_anything)}),
    },
    "denied": {**_TRUST, "request": _anything, "secret_opt": _anything, "decision": _anything},
    "recover": {
        **_TRUST, "path": objects.text, "secret": _anything, "ciphertext": objects.raw(), "keys": objects.many(objects.oid),
    },
    "cards": {"requests": objects.many(_anything)},
    "trust": _TRUST,
    "cert": {**_TRUST, "client_cert": _anything},
    "enrol": {"pin": objects.oid, "origins": _TEXTS, "nonce": objects.oid, "enrol": _anything},
    "life": {"row": _anything, "events": objects.many(_anything)},
    "lease": {
        "policy": _POLICY_TERMS, "sealed_policy": _given(_TERMS), "items": objects.many(_given(_TERMS)),
        "request": _given({**_TERMS, "purpose_opt": objects.text}),
    },
    "hit": {
        "lease": _given({**_TERMS, "id": _anything}), "start": objects.number, "boot": objects.number,
        "used": objects.number, "before_opt": _anything, "after_opt": _anything,
    },
}  # fmt: skip


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
    _, found = signed.verify(given["object"], given["signed"], [given["key"]], given["origins"])
    return {"oid": b64(found)}


def _count(given: Input) -> Any:
    found = signed.count(given["object"], given["signed"], given["keys"], given["origins"])
    if not 1 <= given["threshold"] <= found:
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
    if given["index"] > 255:
        raise Refused("index", "an index has one byte")
    dek, salt = unb64(given["dek"]), unb64(given["salt"])
    return {
        "payload_key": b64(seal.payload_key(dek, salt)),
        "dek_commitment": b64(seal.dek_commitment(dek, salt)),
        "share_commitment": b64(shares.commitment(salt, given["index"], dek)),
        "prf_input": b64(sha256(domain("prf-input", given["org"]))),
        "code": release.code(dek),
    }


def _payload(given: Input) -> Any:
    core = given["core"]
    return {"data": b64(seal.open_payload(core, unb64(given["dek"]), unb64(given["ciphertext"])))}


def _stanza(given: Input) -> Any:
    return {"opened": b64(seal.open_stanza(given["secret"], given["position"], unb64(given["secret_key"])))}


def _join(given: Input) -> Any:
    return {"secret": b64(shares.join([(index, unb64(share)) for index, share in given["shares"]]))}


def _share(given: Input) -> Any:
    salt, share, commitment = (unb64(given[name]) for name in ("salt", "share", "commitment"))
    shares.check(salt, given["index"], share, commitment)
    return {}


def _pad(given: Input) -> Any:
    if given["byte"] > 255:
        raise Refused("field", "no byte")
    padded = seal.pad(bytes([given["byte"]]) * given["length"])
    return {"padded": b64(padded[:80]), "total": len(padded)}


def _secret(given: Input) -> Any:
    seal.verify_secret(_trust(given), given["secret"], given["path"], given["lowest"], given["now"])
    return {"oid": b64(signed.oid_of(given["secret"]))}


def _client(given: Input) -> Any:
    return release.check_client(
        _trust(given), given["request"], unb64(given["ephemeral_secret"]), given["secret"], unb64(given["ciphertext"]),
        given["releases"], given.get("remembered"), given["now"],
    )  # fmt: skip


def _approver(given: Input) -> Any:
    secrets = given["memory"].get("secrets")
    memory = {**given["memory"], "secrets": secrets if isinstance(secrets, dict) else {}}
    return release.check_prompt(
        _trust(given), given["own"], given["client_cert"], given["request"], given["secret"], memory, given["now"]
    )


def _denied(given: Input) -> Any:
    encode(given.get("secret", {}))  # it travels as canonical bytes, also where it does not count
    return release.check_denial(_trust(given), given["request"], given.get("secret"), given["decision"], given["now"])


def _recover(given: Input) -> Any:
    trust, path, wrapper = _trust(given), given["path"], given["secret"]
    data = recovery.open_recovered(
        trust, path, wrapper, unb64(given["ciphertext"]), [unb64(key) for key in given["keys"]], given["now"]
    )
    return {"data": b64(data), "secret": b64(signed.oid_of(wrapper))}


def _trust_op(given: Input) -> Any:
    found = _trust(given)
    return {"pair": found.pair, "oid": found.oid}


def _hit(given: Input) -> Any:
    leases.hit(given["lease"], given["start"], given["boot"], given["used"], given.get("before"), given.get("after"))
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
    "recover": _recover,
    "cards": lambda given: {"cards": release.cards(given["requests"])},
    "trust": _trust_op,
    "cert": lambda given: {"subject": roster.verify_cert(_trust(given), given["client_cert"], given["now"])["subject"]},
    "enrol": lambda given: enrol.check_enrol(given["pin"], given["origins"], unb64(given["nonce"]), given["enrol"]),
    "life": lambda given: {"steps": lifecycle.run(given["row"], given["events"])},
    "lease": lambda given: leases.terms(given["policy"], given["sealed_policy"], given["items"], given["request"]),
    "hit": _hit,
}


def run(op: str, given: Input) -> Any:
    _given(NEEDS[op])(given)
    return OPERATIONS[op](given)
