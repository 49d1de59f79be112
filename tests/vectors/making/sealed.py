"""own-sealed.json: sections 3 and 5, and the checks of a sealed secret (7.3 without self)."""

from __future__ import annotations

from typing import Any

from tests.reference import hpke, keys, seal, shares
from tests.reference.encoding import b64, domain, sha256, unb64
from tests.reference.keys import ORDER
from tests.reference.world import DAY, NOW, Edit, Sealed, World

from .book import Book

SOLO, MAIN, ROOT, KEY = "prod/solo", "prod/db/main", "prod/db/root", "prod/api/key"


def make(world: World) -> Book:
    book = Book("own-sealed")
    _hpke(book, world)
    _padding(book)
    _shares(book, world)
    _payload(book, world)
    _stanzas(book, world)
    _secret(book, world)
    _recipients(book, world)
    return book


def _hpke(book: Book, world: World) -> None:
    secret, ephemeral = world.secret("hpke"), world.secret("hpke-ephemeral")
    public, info = keys.public_of("es256", secret), ["stillvault/v1/stanza", "x", 0]
    enc, ct = hpke.seal(public, domain("stanza", "x", 0), bytes(32), ephemeral)
    book.defaults["open"] = {"secret_key": b64(secret), "info": info, "enc": b64(enc), "ct": b64(ct)}
    book.accept("open", "open", {"plaintext": b64(bytes(32))})

    def refuse(name: str, **given: Any) -> None:
        book.refuse(f"open: {name}", "open", "open", **given)

    refuse("number of another value", info=["stillvault/v1/stanza", "x", 1])
    refuse("number as a string", info=["stillvault/v1/stanza", "x", "0"])
    refuse("an item fewer", info=["stillvault/v1/stanza", "x"])
    refuse("other label", info=["stillvault/v1/release", "x", 0])
    refuse("another key", secret_key=b64(world.secret("other")))
    refuse("secret key 0", secret_key=b64(bytes(32)))
    refuse("secret key n", secret_key=b64(ORDER.to_bytes(32)))
    refuse("secret key of 31 bytes", secret_key=b64(secret[:31]))
    refuse("a bit of the ciphertext", ct=b64(bytes([ct[0] ^ 1]) + ct[1:]))
    refuse("a bit of the tag", ct=b64(ct[:-1] + bytes([ct[-1] ^ 1])))
    refuse("ciphertext of 49 bytes", ct=b64(ct + b"\0"))
    refuse("no ciphertext", ct="")
    refuse("enc off the curve", enc=b64(b"\x04" + bytes(64)))
    refuse("enc at infinity", enc=b64(b"\x00"))
    refuse("enc hybrid", enc=b64(bytes([6 + (enc[-1] & 1)]) + enc[1:]))
    refuse("enc of 66 bytes", enc=b64(enc + b"\0"))
    refuse(
        "the mirrored point", enc=b64(enc[:33] + (2**256 - 2**224 + 2**192 + 2**96 - 1 - int.from_bytes(enc[33:])).to_bytes(32))
    )
    enc, ct = hpke.seal(public, domain("stanza", "x", 0), bytes(33), ephemeral)
    refuse("plaintext of 33 bytes", enc=b64(enc), ct=b64(ct))
    for name, dek, salt, index in (("zeros", bytes(32), bytes(32), 1), ("other", world.secret("k"), world.secret("s"), 255)):
        book.accept(f"derivations: {name}", "keys", dek=b64(dek), salt=b64(salt), index=index, org=world.pin)
    code = "048575"  # 2^20 - 1 modulo 10^6
    book.accept("code with a leading zero", "keys", dek=b64(b"\xff" * 32), salt=b64(bytes(32)), index=1, org=world.pin)
    if book.cases[-1]["expect"]["code"] != code:
        raise ValueError("the code of all ones is known")


def _padding(book: Book) -> None:
    for length in (1, 59, 60, 61, 123, 125, 252, 253, 4092, 4093, 60 * 1024):
        book.accept(f"pad {length}", "pad", length=length, byte=255)
    for length in (60 * 1024 + 1, 70_000):
        book.refuse(f"pad {length}", "pad", "size", length=length, byte=1)
    for length in (0, 1, 60, 61, 124, 125, 61440):
        padded = seal.pad(b"\x07" * length)
        book.accept(f"unpad {length}", "unpad", {"data": b64(b"\x07" * length)}, padded=b64(padded))
    for name, padded in (
        ("nothing", b""), ("three bytes", bytes(3)), ("32 bytes", bytes(32)), ("63 bytes", bytes(63)), ("65 bytes", bytes(65)),
        ("96 bytes", bytes(96)), ("twice the size", bytes(128)), ("length beyond the end", (61).to_bytes(4) + bytes(60)),
        ("length of all ones", b"\xff" * 4 + bytes(60)), ("a byte after the data", bytes(63) + b"\1"),
        ("a byte right after the data", (1).to_bytes(4) + b"aa" + bytes(58)),
        ("128 for what fits 64", (60).to_bytes(4) + b"a" * 60 + bytes(64)),
        ("more than 60 KiB", (61441).to_bytes(4) + bytes(65532)), ("the largest of 64 KiB", (65532).to_bytes(4) + bytes(65532)),
    ):  # fmt: skip
        book.refuse(f"unpad {name}", "unpad", "padding", padded=b64(padded))


def _shares(book: Book, world: World) -> None:
    secret, rows = world.secret("shared"), [world.secret("c1"), world.secret("c2")]
    parts = shares.split(secret, [1, 2, 3, 4, 127, 129, 255], rows)

    def given(*indices: int) -> list[Any]:
        return [[index, b64(parts[index])] for index in indices]

    for indices in ((1, 2, 3), (3, 1, 2), (1, 127, 255), (1, 2, 3, 4), (129, 255, 4), tuple(parts)):
        book.accept(f"join {indices}", "join", {"secret": b64(secret)}, shares=given(*indices))
    book.accept("too few join to something else", "join", shares=given(1, 2))
    zero = shares.split(secret, [1, 2], [bytes(32)])
    book.accept("a coefficient of zero", "join", {"secret": b64(secret)}, shares=[[n, b64(zero[n])] for n in (1, 2)])
    book.refuse("join of one index twice", "join", "index", shares=given(1, 1))
    book.refuse("join of index 0", "join", "index", shares=[[0, b64(secret)], *given(1)])
    book.refuse("join of index 256", "join", "index", shares=[[256, b64(secret)], *given(1)])
    book.refuse("join of a share of 31 bytes", "join", "field", shares=[[5, b64(secret[:31])], *given(1)])
    book.refuse("join of nothing", "join", "quorum", shares=[])
    salt = world.secret("salt")
    plain = {"salt": b64(salt), "index": 129, "share": b64(secret), "commitment": b64(shares.commitment(salt, 129, secret))}
    book.defaults["share"] = plain
    book.accept("share: recovery index", "share", {})
    for name, changes in (
        ("another index", {"index": 128}), ("another salt", {"salt": b64(secret)}), ("another share", {"share": b64(salt)}),
        ("a share of 31 bytes", {"share": b64(secret[:31])}), ("index 0", {"index": 0}),
        ("without the domain", {"commitment": b64(sha256(salt + bytes([129]) + secret))}), ("commitment cut short",
        {"commitment": b64(bytes(31))}),
    ):  # fmt: skip
        book.refuse(f"share: {name}", "share", "field" if "short" in name or "31" in name else "share", **changes)


def _payload(book: Book, world: World) -> None:
    sealed = world.seal(KEY, b"x" * 100)
    core, dek = sealed.core, seal.open_stanza(sealed.payload, 2, world.devices["ben-token"].kem)
    ct = sealed.ciphertext
    book.defaults["payload"] = {"core": core, "dek": b64(dek), "ciphertext": b64(ct)}
    book.accept("payload", "payload", {"data": b64(b"x" * 100)})
    book.refuse("payload: another dek", "payload", "dek", dek=b64(bytes(32)))
    book.refuse("payload: a dek of 31 bytes", "payload", "field", dek=b64(dek[:31]))
    for name, code, changes in (
        ("another path", "decrypt", {"path": "prod/api/kez"}), ("another version", "decrypt", {"version": 4}),
        ("another organisation", "decrypt", {"org": b64(bytes(32))}), ("another salt", "dek", {"salt": b64(bytes(32))}),
        ("length one less", "ciphertext", {"length": len(ct) - 1}), ("hash of something else", "ciphertext",
        {"ciphertext_hash": b64(bytes(32))}),
    ):  # fmt: skip
        book.refuse(f"payload: {name}", "payload", code, core={**core, **changes})
    book.accept("payload: what is not in the aad may differ", "payload", core={**core, "sealed": 1, "recipients": []})
    for name, bad in (
        ("a bit", bytes([ct[0] ^ 1]) + ct[1:]),
        ("a byte less", ct[:-1]),
        ("a byte more", ct + b"\0"),
        ("nothing", b""),
    ):
        book.refuse(f"payload: {name} of the ciphertext", "payload", "ciphertext", ciphertext=b64(bad))
    flipped = bytes([ct[0] ^ 1]) + ct[1:]
    book.refuse("payload: a bit, and its hash made anew", "payload", "decrypt", ciphertext=b64(flipped),
                core={**core, "ciphertext_hash": b64(sha256(flipped))})  # fmt: skip
    for name, padded in (("data not zero-padded", (1).to_bytes(4) + b"a" * 60), ("48 bytes", bytes(48))):
        key = seal.payload_key(dek, unb64(core["salt"]))
        raw = seal.AESGCM(key).encrypt(bytes(12), padded, seal.payload_aad(core))
        book.refuse(f"payload: {name}", "payload", "padding", ciphertext=b64(raw),
                    core={**core, "ciphertext_hash": b64(sha256(raw)), "length": len(raw)})  # fmt: skip
    for length in (0, 61440):
        other = world.seal(KEY, b"y" * length)
        key = seal.open_stanza(other.payload, 2, world.devices["ben-token"].kem)
        book.accept(f"payload of {length} bytes", "payload", {"data": b64(b"y" * length)}, core=other.core, dek=b64(key),
                    ciphertext=b64(other.ciphertext))  # fmt: skip


def _stanzas(book: Book, world: World) -> None:
    solo = world.seal(SOLO)
    book.defaults["stanza"] = {"secret": solo.payload}
    for position, (index, _, name) in enumerate(solo.core["recipients"]):
        secret = world.secret(name) if index > seal.RECOVERY else world.devices[name].kem
        book.accept(f"stanza of {name}", "stanza", position=position, secret_key=b64(secret))
    mine = b64(world.devices["ben-token"].kem)
    book.refuse("stanza of another", "stanza", "stanza", position=0, secret_key=mine)
    book.refuse("stanza beyond the last", "stanza", "stanza", position=7, secret_key=mine)
    core = {**solo.core, "version": 9}
    book.refuse(
        "stanza under another core", "stanza", "stanza", position=2, secret_key=mine, secret={**solo.payload, "core": core}
    )
    moved = [solo.payload["stanzas"][2], *solo.payload["stanzas"][1:]]
    book.refuse("stanza moved", "stanza", "stanza", position=0, secret_key=mine, secret={**solo.payload, "stanzas": moved})


def _secret(book: Book, world: World) -> None:
    good = world.seal()
    book.defaults["secret"] = {**world.trust_inputs(), "secret": good.wrapper, "path": KEY, "lowest": []}
    book.accept("secret", "secret")

    def accept(name: str, sealed: Sealed | None = None, **given: Any) -> None:
        book.accept(f"secret: {name}", "secret", **({"secret": sealed.wrapper} if sealed else {}), **given)

    def refuse(name: str, code: str, sealed: Sealed | None = None, **given: Any) -> None:
        book.refuse(f"secret: {name}", "secret", code, **({"secret": sealed.wrapper} if sealed else {}), **given)

    for path in (SOLO, MAIN, ROOT, "other"):
        accept(f"under the policy of {path}", world.seal(path), path=path)
    # 7.3 the sealer
    approver, auditor = world.devices["ben-token"], world.devices["fay-cli"]
    refuse("by an approver", "sealer", world.seal(device="ben-token", signer=approver.auth[0]))
    refuse("by an auditor", "sealer", world.seal(device="fay-cli", signer=auditor.auth[0]))
    refuse("by a device of another person", "sealer", world.seal(by={"person": "dan", "device": "ana-phone"}))
    refuse("by nobody", "sealer", world.seal(by={"person": "zed", "device": "dan-cli"}))
    refuse("signed by another sealer", "signature", world.seal(signer=world.devices["ana-phone"].auth[0]))
    refuse("signed by the client", "signature", world.seal(signer=world.client_signer))
    refuse("signed with the deny key", "signature", world.seal(device="ana-laptop", signer=world.devices["ana-laptop"].deny))
    accept("by the second credential", world.seal(device="ana-phone", signer=world.devices["ana-phone"].auth[1]))
    refuse(
        "the sealer is none any more", "sealer", roster=world.roster(lambda value: value["people"][3].update(roles=["auditor"]))
    )
    refuse("the sealer's person was dropped", "sealer", roster=world.roster(lambda value: value["people"].pop(3)))
    refuse("signed twice", "signature", secret={**good.wrapper, "signatures": good.wrapper["signatures"] * 2})
    # 7.3 `added <= sealed < device.expires`, not in the future
    added = NOW - 60 * DAY
    accept("sealed the second the device was added", world.seal(at=NOW, sealed=added))
    refuse("sealed the second before", "sealer", world.seal(sealed=added - 1))
    accept("sealed the last second of the device", world.seal(sealed=NOW - 1), roster=world.with_device("dan-cli", expires=NOW))
    refuse("sealed when the device had gone", "sealer", world.seal(sealed=NOW), roster=world.with_device("dan-cli", expires=NOW))
    accept("by a device that retired since", world.seal(sealed=NOW - 5), roster=world.with_device("dan-cli", expires=NOW - 1))
    accept("sealed 300 s ahead", world.seal(sealed=NOW + 300))
    refuse("sealed 301 s ahead", "future", world.seal(sealed=NOW + 301))
    # 7.3 organisation and path
    refuse("of another organisation", "org", world.seal(org=b64(bytes(32))))
    refuse("of another path", "path-mismatch", world.seal("prod/api/other"))
    refuse("asked for under another path", "path-mismatch", path="prod/api/other")
    # 7.3 version
    for low, fits in (([3, 0], True), ([2, 9], True), ([3, 1], False), ([4, 0], False), ([0, 0], True)):
        (accept if fits else lambda name, **given: refuse(name, "version", **given))(f"not below {low}", lowest=[low])
    refuse("below one of two", "version", lowest=[[1, 0], [3, 1]])
    for floor, fits in (([KEY, 3, 0], True), ([KEY, 3, 1], False), ([KEY, 4, 0], False), (["prod/api/kex", 9, 0], True)):
        given = {"roster": world.roster(floors=[floor])}
        (accept if fits else lambda name, **given: refuse(name, "version", **given))(f"floor {floor}", **given)
    accept("a floor of a prefix counts for nothing", roster=world.roster(floors=[["prod", 9, 0], ["prod/api", 9, 0]]))
    # 7.3 threshold of the policy of today
    refuse("the policy of today wants two", "threshold", roster=world.with_policy("prod", threshold=2))
    accept("the policy of today wants one", world.seal(MAIN), path=MAIN, roster=world.with_policy("db", threshold=1))
    refuse("no policy today", "no-policy", roster=world.roster(policies=world.policies()[2:3]))
    accept("another policy of today, of the same threshold", roster=world.with_policy("prod", people=["eve"], window=1))


def _recipients(book: Book, world: World) -> None:
    def case(name: str, path: str, edit: Edit, *, ok: bool = False, code: str = "recipients") -> None:
        wrapper = world.seal(path, edit=edit).wrapper
        if ok:
            book.accept(f"secret: {name}", "secret", secret=wrapper, path=path)
        else:
            book.refuse(f"secret: {name}", "secret", code, secret=wrapper, path=path)

    def core(**changes: Any) -> Edit:
        return lambda value: value["core"].update(changes)

    def policy(**changes: Any) -> Edit:
        return lambda value: value["core"]["policy"].update(changes)

    def entry(at: int, item: Any) -> Edit:
        return lambda value: value["core"]["recipients"].__setitem__(at, item)

    def drop(at: int, *commitments: int) -> Edit:
        def edit(value: dict[str, Any]) -> None:
            value["core"]["recipients"].pop(at)
            value["stanzas"].pop(at)
            kept = [pair for pair in value["core"]["share_commitments"] if pair[0] not in commitments]
            value["core"]["share_commitments"] = kept

        return edit

    case("index of another person", KEY, entry(2, [3, "ben", "ben-token"]))
    case("index 0", KEY, entry(0, [0, "ana", "ana-laptop"]))
    case("index beyond the people", KEY, entry(3, [4, "cho", "cho-phone"]))
    case("somebody outside the policy", KEY, entry(3, [3, "eve", "eve-phone"]))
    case(
        "devices not sorted",
        KEY,
        lambda value: value["core"]["recipients"].__setitem__(slice(0, 2), value["core"]["recipients"][1::-1]),
    )
    case("indices not sorted", KEY, lambda value: value["core"]["recipients"].reverse())
    case("a recovery key that the policy has not", KEY, entry(3, [129, "recovery", "safe-1"]))
    case("a recovery key left out", ROOT, drop(6, 131))
    case("recovery keys in another order", ROOT, entry(4, [129, "recovery", "safe-2"]))
    case("a person under a recovery index", ROOT, entry(4, [129, "eve", "eve-phone"]))
    case("a stanza more", KEY, lambda value: value["stanzas"].append(value["stanzas"][0]))
    case("no stanzas", KEY, lambda value: value.update(stanzas=[]))
    case("a commitment where every stanza has the dek", KEY, core(share_commitments=[[1, world.pin]]))
    case("a commitment left out", MAIN, lambda value: value["core"]["share_commitments"].pop())
    case("commitments not sorted", MAIN, lambda value: value["core"]["share_commitments"].reverse())
    case(
        "a commitment twice",
        MAIN,
        lambda value: value["core"]["share_commitments"].append(value["core"]["share_commitments"][-1]),
    )
    case("a commitment for a person without a device", MAIN, drop(2))
    case("a person without a device", MAIN, drop(2, 2), ok=True)
    case("fewer people than the threshold", MAIN, lambda value: (drop(3, 3)(value), drop(2, 2)(value)))
    case("no recipients", KEY, lambda value: value.update(stanzas=[], core={**value["core"], "recipients": []}))
    case("one policy person twice", KEY, policy(people=["ana", "ana", "cho"]))
    case("a sealed threshold above its people", MAIN, policy(threshold=4))
    case("a sealed threshold of zero", KEY, policy(threshold=0), code="threshold")
    case("a recovery threshold of one", ROOT, lambda value: value["core"]["policy"]["recovery"].update(threshold=1))
    case("recovery commitments left out", SOLO, core(share_commitments=[]))
    case("a window that is longer than any", KEY, policy(window=99_999))
