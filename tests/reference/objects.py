"""Protocol section 4: the shape of every object, as a table.

A shape is a function that takes a value and raises. `fields` makes one for an object: a name that ends in `?` is optional,
every other one must be there, and no other may be. Rules that span objects (who may sign, what must match) stand with the
checks that use them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from . import keys
from .encoding import LARGEST, Refused, decode, limit_of, type_of, unb64
from .paths import check_id, check_path, check_pattern

Shape = Callable[[Any], object]

TIERS = ("soft", "synced", "device-gated", "device-bound")
GRADES = ("user", "system")
CHAIN_LIMIT = 8


def _refuse(why: str) -> NoReturn:
    raise Refused("field", why)


def text(value: Any) -> None:
    if not isinstance(value, str):
        _refuse("not a string")


def number(value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        _refuse("not an integer from 0 to 2^53-1")


def from_one(value: Any) -> None:
    number(value)
    if value < 1:
        _refuse("versions begin at 1")


def flag(value: Any) -> None:
    if not isinstance(value, bool):
        _refuse("not a boolean")


def raw(*lengths: int) -> Shape:
    """base64url of one of these numbers of bytes (of any number where none is given)."""

    def check(value: Any) -> None:
        text(value)
        length = len(unb64(value))
        if lengths and length not in lengths:
            _refuse(f"{length} bytes, not {lengths}")

    return check


def one_of(*choices: str) -> Shape:
    def check(value: Any) -> None:
        text(value)
        if value not in choices:
            _refuse(f"not one of {choices}")

    return check


def many(shape: Shape, most: int | None = None) -> Shape:
    def check(value: Any) -> None:
        if not isinstance(value, list):
            _refuse("not a list")
        if most is not None and len(value) > most:
            _refuse(f"more than {most}")
        for item in value:
            shape(item)

    return check


def row(*shapes: Shape) -> Shape:
    """A list of fixed length: a pair, a recipient, a stanza."""

    def check(value: Any) -> None:
        if not isinstance(value, list) or len(value) != len(shapes):
            _refuse(f"not a list of {len(shapes)}")
        for shape, item in zip(shapes, value, strict=True):
            shape(item)

    return check


def fields(**shapes: Shape) -> Shape:
    optional = {name.removesuffix("_opt"): shape for name, shape in shapes.items() if name.endswith("_opt")}
    needed = {name: shape for name, shape in shapes.items() if not name.endswith("_opt")}

    def check(value: Any) -> None:
        if not isinstance(value, dict):
            _refuse("not an object")
        for name in needed:
            if name not in value:
                _refuse(f"{name} is missing")
        for name, item in value.items():
            shape = needed.get(name) or optional.get(name)
            if shape is None:
                raise Refused("field", f"{name} is unknown")
            shape(item)

    return check


# 4. Key: `credential`, `rp_id` and `backup` exactly for webauthn-es256
_PLAIN_KEY = fields(alg=text, public=raw())
_PASSKEY = fields(alg=text, public=raw(), credential=raw(), rp_id=text, backup=flag)


def key(value: Any) -> None:
    if not isinstance(value, dict) or value.get("alg") not in keys.ALGORITHMS:
        raise Refused("field", "not a key of a known algorithm")
    (_PASSKEY if value["alg"] == "webauthn-es256" else _PLAIN_KEY)(value)
    keys.check_public(value["alg"], unb64(value["public"]))


def client_key(value: Any) -> None:
    """4: a client's key is not webauthn-es256."""
    key(value)
    if value["alg"] == "webauthn-es256":
        raise Refused("alg", "a client's key signs without a person")


def deny_key(value: Any) -> None:
    """4: the key for deny and freeze is es256. In a roster the same rule is one of `roster-invalid`."""
    key(value)
    if value["alg"] != "es256":
        raise Refused("alg", "a deny key is es256")


def kem(value: Any) -> None:
    fields(suite=one_of("p256"), public=raw())(value)  # 3: `mlkem768p256` is reserved; nothing may be sealed to it yet
    keys.check_public("p256", unb64(value["public"]))


def hold(value: Any) -> None:
    fields(subject_opt=check_path, match_opt=check_pattern, until=number)(value)
    if ("subject" in value) == ("match" in value):
        _refuse("a hold names a subject or a pattern")


oid = raw(32)
pair = row(number, number)
head = row(number, oid)
quorum = fields(keys=many(key), threshold=number)
recovery = fields(threshold=number, keys=many(fields(id=check_id, kem=kem)))
policy = fields(
    id=check_id, match=many(check_pattern), threshold=number, people=many(check_id), tier=one_of(*TIERS), window=number,
    scope=one_of("process", "task", "exe", "unit"), uses=number, ttl=number, code=flag, deny=one_of("veto", "count"),
    recovery_opt=recovery,
)  # fmt: skip
device = fields(
    id=check_id, name=text, tier=one_of(*TIERS), kem=kem, auth=many(key), deny_opt=key, attestation_opt=oid, added=number,
    expires=number,
)  # fmt: skip
person = fields(
    id=check_id, name=text, roles=many(one_of("admin", "approver", "sealer", "auditor")), devices=many(device)
)
exe = fields(exe=text, exe_sha256=oid)
core = fields(
    org=oid, path=check_path, version=from_one, revision=number, previous_opt=oid, sealed=number,
    by=fields(person=check_id, device=check_id), policy=policy, salt=oid, dek_commitment=oid, ciphertext_hash=oid,
    length=number, recipients=many(row(number, check_id, check_id)), share_commitments=many(row(number, oid)),
)  # fmt: skip

SHAPES: dict[str, Shape] = {
    "root": fields(
        name=text, version=from_one, previous_opt=oid, root=quorum, admin=quorum, log=fields(origin=text, public=oid),
        rp_id=text, origins=many(text), issued=number, expires=number,
    ),
    "roster": fields(
        org=oid, root=oid, version=from_one, previous_opt=oid, issued=number, expires=number, people=many(person),
        policies=many(policy), floors=many(row(check_path, number, number)), revoked=many(oid), holds=many(hold),
    ),
    "client-cert": fields(
        org=oid, subject=check_path, host=text, key=client_key, scopes=many(check_pattern), grade=one_of(*GRADES),
        issued=number, expires=number,
    ),
    "secret": fields(core=core, stanzas=many(row(raw(65), raw(48)))),
    "request": fields(
        org=oid, id=raw(16), client=oid, path=check_path, minimum=pair, suite=text, ephemeral=raw(), issued=number,
        expires=number, window=number, uses=number, roster=pair, log_head_opt=head, purpose=one_of("use", "reseal"),
        observed=fields(
            host=text, uid=number, user=text, exe=text, exe_sha256=oid, chain=many(exe, CHAIN_LIMIT), unit_opt=text,
            container_opt=text, grade=one_of(*GRADES),
        ),
        claimed=fields(argv_opt=many(text), reason_opt=text),
    ),
    "decision": fields(
        org=oid, verdict=one_of("approve", "deny", "freeze"), person=check_id, device=check_id, issued=number,
        expires=number, roster=pair, log_head_opt=head, note_opt=text,
        items=many(
            fields(
                request=oid, secret=oid, path=check_path, version=number, revision=number, index=number, window=number,
                uses=number,
            )
        ),
    ),
    "receipt": fields(
        org=oid, request=oid, secret=oid, result=one_of("delivered", "failed", "discarded"), reason_opt=text, issued=number
    ),
    "use": fields(
        org=oid, request=oid, by=many(fields(uid=number, exe=text, exe_sha256=oid, count=number)), first=number,
        last=number, issued=number,
    ),
    "cancel": fields(org=oid, request=oid, issued=number),
    "enrol": fields(
        org=oid, invite=oid, name=text, auth=key, kem_opt=kem, deny_opt=deny_key, client_opt=client_key, issued=number
    ),
    "login": fields(org=oid, origin=text, nonce=raw(), issued=number),
}  # fmt: skip

# Wrappers. The rules for `auth_data` and `client_data` belong to the algorithm and stand in `signed`.
signed_wrapper = fields(
    type=text, payload=raw(),
    signatures=many(fields(alg=text, key=raw(), sig=raw(), auth_data_opt=raw(), client_data_opt=raw())),
)  # fmt: skip
release_wrapper = fields(decision=signed_wrapper, sealed=many(row(oid, raw(65), raw(48))))


def check(name: str, value: Any) -> dict[str, Any]:
    type_of(name)
    SHAPES[name](value)
    found: dict[str, Any] = value
    return found


def parse(name: str, payload: bytes) -> dict[str, Any]:
    """Form and shape of a payload. The caller has verified the signature, or uses only "who signed"."""
    type_of(name)
    return check(name, decode(payload, limit_of(name)))
