"""own-signatures.json: section 2, one signature under one rostered key, and the counting of several."""

from __future__ import annotations

from typing import Any

from tests.reference.encoding import b64, encode, sha256, type_of, unb64
from tests.reference.keys import ORDER
from tests.reference.world import ORIGIN, Signer, World, edited, sign

from .book import Book

L = 2**252 + 27742317777372353535851937790883648493  # the order of Ed25519's group
NIST = "webauthn-es256"


def make(world: World) -> Book:
    login = {"org": world.pin, "origin": ORIGIN, "nonce": b64(bytes(32)), "issued": world.now}
    book = Book("own-signatures", {op: {"object": "login", "origins": [ORIGIN]} for op in ("verify", "count")})
    _plain(book, world, login)
    _webauthn(book, world, login)
    _count(book, world, login)
    return book


def _with(wrapper: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The wrapper with its first signature changed (None takes a field away)."""
    return {**wrapper, "signatures": [edited(wrapper["signatures"][0], None, changes), *wrapper["signatures"][1:]]}


def _plain(book: Book, world: World, login: dict[str, Any]) -> None:
    ed, ec = world.signer("plain-ed", "ed25519"), world.signer("plain-ec", "es256")
    for signer in (ed, ec):
        good = sign("login", login, signer)
        sig = bytearray(unb64(good["signatures"][0]["sig"]))
        book.accept(f"{signer.alg}: good", "verify", key=signer.key, signed=good)
        for at in (0, 31, 32, 63):
            flipped = bytes(byte ^ (at == n) for n, byte in enumerate(sig))
            name = f"{signer.alg}: bit of byte {at} of the signature"
            book.refuse(name, "verify", "signature", key=signer.key, signed=_with(good, sig=b64(flipped)))
        for name, bad in (
            ("63 bytes", sig[:63]),
            ("65 bytes", sig + b"\0"),
            ("no bytes", b""),
            ("zeros", bytes(64)),
            ("ff", b"\xff" * 64),
        ):
            book.refuse(f"{signer.alg}: {name}", "verify", "signature", key=signer.key, signed=_with(good, sig=b64(bytes(bad))))
        book.refuse(f"{signer.alg}: hint of another key", "verify", "signature", key=signer.key,
                    signed=_with(good, key=b64(sha256(b"other"))))  # fmt: skip
        book.refuse(f"{signer.alg}: assertion data beside it", "verify", "field", key=signer.key,
                    signed=_with(good, auth_data=b64(bytes(37))))  # fmt: skip
        other = Signer("es256" if signer.alg == "ed25519" else "ed25519", signer.secret).key["alg"]
        book.refuse(f"{signer.alg}: other algorithm named", "verify", "alg", key=signer.key, signed=_with(good, alg=other))
        book.refuse(f"{signer.alg}: unknown algorithm named", "verify", "alg", key=signer.key, signed=_with(good, alg="none"))
        for name, changes in (("payload changed", {"issued": 1}), ("payload grown", {"origin": ORIGIN + "/"})):
            payload = b64(encode({**login, **changes}))
            book.refuse(f"{signer.alg}: {name}", "verify", "signature", key=signer.key, signed={**good, "payload": payload})
    _curve(book, ec, login)
    s = int.from_bytes(unb64(sign("login", login, ed)["signatures"][0]["sig"])[32:], "little")
    bad = unb64(sign("login", login, ed)["signatures"][0]["sig"])[:32] + (s + L).to_bytes(32, "little")
    book.refuse("ed25519: s + L", "verify", "signature", key=ed.key, signed=_with(sign("login", login, ed), sig=b64(bad)))
    # a key of small order would make R = s*B good for every message: the identity, with R the identity and s = 0
    small = {"alg": "ed25519", "public": b64(b"\x01" + bytes(31))}
    forged = _with(sign("login", login, ed), key=b64(sha256(b"\x01" + bytes(31))), sig=b64(b"\x01" + bytes(63)))
    book.refuse("ed25519: key of small order", "verify", "signature", key=small, signed=forged)
    _wrapper(book, ed, login)


def _curve(book: Book, ec: Signer, login: dict[str, Any]) -> None:
    good = sign("login", login, ec)
    raw = unb64(good["signatures"][0]["sig"])
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    book.accept("es256: n - s is a signature too", "verify", key=ec.key,
                signed=_with(good, sig=b64(raw[:32] + (ORDER - s).to_bytes(32))))  # fmt: skip
    for name, one, two in (("s = 0", r, 0), ("r = n", ORDER, s), ("s = n", r, ORDER), ("r and s swapped", s, r)):
        sig = b64(one.to_bytes(32) + two.to_bytes(32))
        book.refuse(f"es256: {name}", "verify", "signature", key=ec.key, signed=_with(good, sig=sig))


def _wrapper(book: Book, ed: Signer, login: dict[str, Any]) -> None:
    good = sign("login", login, ed)
    one = good["signatures"][0]
    book.refuse("no signature", "verify", "signature", key=ed.key, signed={**good, "signatures": []})
    book.refuse("two signatures", "verify", "signature", key=ed.key, signed={**good, "signatures": [one, one]})
    book.refuse("another type", "verify", "type", key=ed.key, signed={**good, "type": type_of("cancel")})
    book.refuse("a signed cancel where a login is wanted", "verify", "type", key=ed.key,
                signed=sign("cancel", {"org": login["org"], "request": login["org"], "issued": 1}, ed))  # fmt: skip
    book.refuse("wrapper with an unknown field", "verify", "field", key=ed.key, signed={**good, "extra": 1})
    book.refuse("wrapper without signatures", "verify", "field", key=ed.key,
                signed={name: good[name] for name in ("type", "payload")})  # fmt: skip
    book.refuse("signature with an unknown field", "verify", "field", key=ed.key, signed=_with(good, kid="x"))
    book.refuse("signature without a hint", "verify", "field", key=ed.key, signed=_with(good, key=None))
    book.refuse("payload with padding", "verify", "base64", key=ed.key, signed={**good, "payload": good["payload"] + "="})
    book.refuse("signature with spare bits", "verify", "base64", key=ed.key, signed=_with(good, sig=one["sig"][:-1] + "h"))
    book.refuse("a wrapper too large", "verify", "size", key=ed.key, signed=_with(good, sig=b64(bytes(1_200_000))))
    wrong = {"type": type_of("login"), "payload": b64(b'{"a":1}'), "signatures": []}
    wrong["signatures"] = [ed.sign("login", b'{"a":1}')]
    book.refuse("well signed, of the wrong form", "verify", "field", key=ed.key, signed=wrong)
    loose = b'{ "issued":1}'
    wrong = {"type": type_of("login"), "payload": b64(loose), "signatures": [ed.sign("login", loose)]}
    book.refuse("well signed, not canonical", "verify", "canonical", key=ed.key, signed=wrong)


def _webauthn(book: Book, world: World, login: dict[str, Any]) -> None:
    key = world.signer("passkey", NIST)
    synced = Signer(NIST, key.secret, backup=True)
    good = sign("login", login, key)

    def accept(name: str, signer: Signer = key, **changes: Any) -> None:
        book.accept(f"webauthn: {name}", "verify", key=signer.key, signed=sign("login", login, signer, **changes))

    def refuse(name: str, code: str, signer: Signer = key, **changes: Any) -> None:
        book.refuse(f"webauthn: {name}", "verify", code, key=signer.key, signed=sign("login", login, signer, **changes))

    accept("good")
    accept("no crossOrigin", crossOrigin=None)
    accept("unknown fields of the client data", other_keys_can_be_added_here="do not compare")
    accept("a pair of surrogates in a field that is not looked at", extra="\U0001f600")
    refuse("a lone surrogate in a field that is not looked at", "client-data", extra="\ud800")
    refuse("the second half of a pair, deep in a field that is not looked at", "client-data", extra=[{"a": ["\udc00"]}])
    refuse("a lone surrogate in a name", "client-data", **{"\udbff": 1})
    accept("eligible for backup, as enrolled", signer=synced)
    accept("backed up, as enrolled", signer=synced, flags=0x1D)
    accept("another flag set", flags=0x05 | 0x80)
    refuse("a registration", "client-data", type="webauthn.create")
    refuse("no type", "client-data", type=None)
    refuse("type in capitals", "client-data", type="WEBAUTHN.GET")
    refuse("no challenge", "challenge", challenge=None)
    refuse("challenge with padding", "challenge", challenge=b64(bytes(32)) + "=")
    refuse("challenge that is a number", "challenge", challenge=1)
    refuse("no origin", "origin", origin=None)
    refuse("origin with a slash", "origin", origin=ORIGIN + "/")
    refuse("origin of a subdomain", "origin", origin="https://a.vault.example.org")
    refuse("origin over http", "origin", origin=ORIGIN.replace("https", "http"))
    refuse("origin in capitals", "origin", origin=ORIGIN.upper())
    refuse("origin that is a list", "origin", origin=[ORIGIN])
    refuse("cross origin", "cross-origin", crossOrigin=True)
    refuse("crossOrigin is a string", "cross-origin", crossOrigin="false")
    accept("topOrigin is not looked at", topOrigin=ORIGIN)
    refuse("crossOrigin is 0", "cross-origin", crossOrigin=0)
    refuse("another relying party", "rp-id", rp_id="evil.example.org")
    refuse("the parent domain as relying party", "rp-id", rp_id="example.org")
    refuse("no user verification", "flags", flags=0x01)
    refuse("no flags", "flags", flags=0x00)
    refuse("not eligible though enrolled as such", "backup", signer=synced, flags=0x05)
    refuse("backed up, enrolled without", "backup", flags=0x1D)
    refuse("backed up without being eligible", "backup", flags=0x15)
    refuse("backed up without being eligible, enrolled as such", "backup", signer=synced, flags=0x15)
    entry = good["signatures"][0]
    der = unb64(entry["sig"])
    auth = unb64(entry["auth_data"])
    client = unb64(entry["client_data"])
    for name, code, raw in (
        ("not JSON", "client-data", client[:-1]), ("a list", "client-data", b"[]"), ("empty", "client-data", b""),
        ("not UTF-8", "client-data", client[:-1] + b',"a":"\xff"}'), ("followed by more", "client-data", client + b"{}"),
        ("with a name twice", "client-data", client.replace(b'"type"', b'"type": "webauthn.get", "type"')),
    ):  # fmt: skip
        refuse(f"client data {name}", code, raw=raw)
    accept("client data with white space", raw=b" " + client.replace(b",", b" ,\n"))
    refuse("auth_data cut short", "client-data", auth=auth[:36])
    refuse("auth_data with a byte more", "client-data", auth=auth + b"\0")
    accept("auth_data with an extension", auth=auth[:32] + b"\x85" + auth[33:] + b"\xa0")
    for name, code, changes in (
        ("no auth_data", "field", {"auth_data": None}), ("no client_data", "field", {"client_data": None}),
        ("counter changed", "signature", {"auth_data": b64(auth[:-1] + b"\1")}),
        ("client data with a space more", "signature", {"client_data": b64(b" " + client)}),
        ("signature as r and s", "signature", {"sig": b64(world.draw(64))}),
        ("signature with a byte after it", "signature", {"sig": b64(der + b"\0")}),
        ("signature with a long length", "signature", {"sig": b64(der[:1] + b"\x81" + der[1:])}),
        ("signature cut short", "signature", {"sig": b64(der[:-1])}), ("no signature bytes", "signature", {"sig": ""}),
        ("plain algorithm named", "alg", {"alg": "es256"}),
    ):  # fmt: skip
        book.refuse(f"webauthn: {name}", "verify", code, key=key.key, signed=_with(good, **changes))
    plain = Signer("es256", key.secret)
    book.refuse("webauthn key, plain signature", "verify", "alg", key=key.key, signed=sign("login", login, plain))
    book.refuse("plain key, webauthn signature", "verify", "alg", key=plain.key, signed=good)


def _count(book: Book, world: World, login: dict[str, Any]) -> None:
    one, two = world.signer("count-1", "ed25519"), world.signer("count-2", "es256")
    three, four = world.signer("count-3", NIST), world.signer("count-4", "ed25519")
    keys = [signer.key for signer in (one, two, three)]
    all_three = sign("login", login, one, two, three)
    first = sign("login", login, one)["signatures"][0]
    two_sigs = sign("login", login, one, two)["signatures"]

    def wrapper(*entries: dict[str, Any]) -> dict[str, Any]:
        return {**all_three, "signatures": list(entries)}

    book.accept("three of three", "count", {"count": 3}, signed=all_three, keys=keys, threshold=3)
    book.accept("three, one wanted", "count", {"count": 3}, signed=all_three, keys=keys, threshold=1)
    book.accept(
        "a listed key twice counts once", "count", {"count": 1}, signed=wrapper(first), keys=[one.key, one.key], threshold=1
    )
    book.accept("one signature twice counts once", "count", {"count": 1}, signed=wrapper(first, first), keys=keys, threshold=1)
    book.accept("a stranger's is ignored", "count", {"count": 1}, signed=sign("login", login, one, four), keys=keys, threshold=1)
    book.accept(
        "a spoilt one is ignored",
        "count",
        {"count": 1},
        signed=wrapper(first, {**two_sigs[1], "sig": b64(bytes(64))}),
        keys=keys,
        threshold=1,
    )
    book.accept(
        "spoilt before good, same key",
        "count",
        {"count": 1},
        signed=wrapper({**first, "sig": b64(bytes(64))}, first),
        keys=keys,
        threshold=1,
    )
    book.accept(
        "an unknown algorithm is ignored",
        "count",
        {"count": 1},
        signed=wrapper(first, {**first, "alg": "rsa"}),
        keys=keys,
        threshold=1,
    )
    book.accept(
        "two passkeys, one of a wrong origin",
        "count",
        {"count": 1},
        signed=wrapper(first, *sign("login", login, three, origin="https://evil.example")["signatures"]),
        keys=keys,
        threshold=1,
    )
    book.refuse("one of two, twice", "count", "threshold", signed=wrapper(first, first), keys=keys, threshold=2)
    book.refuse(
        "good signature, hint of another listed key",
        "count",
        "threshold",
        signed=wrapper({**first, "key": two_sigs[1]["key"]}),
        keys=keys,
        threshold=1,
    )
    book.refuse(
        "a listed key twice for a threshold of two",
        "count",
        "threshold",
        signed=wrapper(first),
        keys=[one.key, one.key],
        threshold=2,
    )
    book.refuse("stranger's alone", "count", "threshold", signed=sign("login", login, four), keys=keys, threshold=1)
    book.refuse("nobody's", "count", "threshold", signed=wrapper(), keys=keys, threshold=1)
    book.refuse(
        "counted, of another type", "count", "type", signed={**all_three, "type": type_of("cancel")}, keys=keys, threshold=1
    )
    book.refuse("counted, with an unknown field", "count", "field", signed={**all_three, "x": 1}, keys=keys, threshold=1)
