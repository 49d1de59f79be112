"""own-enrol.json: section 11, what a joiner posts and what both sides derive from it."""

from __future__ import annotations

from typing import Any

from tests.reference import hpke, keys
from tests.reference.encoding import b64, domain, sha256, type_of
from tests.reference.enrol import PROOF_INFO
from tests.reference.world import ORIGIN, World, sign

from .book import Book


def make(world: World) -> Book:
    nonce = world.secret("nonce")
    passkey = world.signer("joiner", "webauthn-es256", backup=True)
    kem = world.secret("joiner-kem")
    public = b64(keys.public_of("es256", kem))
    good = world.enrol(nonce, passkey, kem={"suite": "p256", "public": public})
    given = {"pin": world.pin, "origins": [ORIGIN], "nonce": b64(nonce), "enrol": good}
    enc, ct = hpke.seal(keys.public_of("es256", kem), PROOF_INFO, bytes(range(32)), world.secret("proof"))
    proof = {"secret_key": b64(kem), "info": ["stillvault/v1/enrol", "proof"], "enc": b64(enc), "ct": b64(ct)}
    book = Book("own-enrol", {"enrol": given, "open": proof})
    book.accept("a passkey with a KEM key", "enrol")
    book.accept("the proof", "open", {"plaintext": b64(bytes(range(32)))})
    ed, ec = world.signer("joiner-ed", "ed25519"), world.signer("joiner-ec", "es256")
    book.accept("an agent with an ed25519 key", "enrol", enrol=world.enrol(nonce, ed))
    book.accept("an es256 key, deny and client", "enrol",
                enrol=world.enrol(nonce, ec, deny=world.signer("d", "es256").key, client=ed.key))  # fmt: skip
    book.accept("issued long ago: no dates", "enrol", enrol=world.enrol(nonce, ed, issued=1))
    book.accept("issued in the future: no dates", "enrol", enrol=world.enrol(nonce, ed, issued=4_000_000_000))
    _refused(book, world, nonce)
    return book


def _refused(book: Book, world: World, nonce: bytes) -> None:
    ed, ec = world.signer("joiner-ed", "ed25519"), world.signer("joiner-ec", "es256")
    passkey = world.signer("joiner", "webauthn-es256", backup=True)

    def refuse(name: str, code: str, enrol: Any = None, **given: Any) -> None:
        book.refuse(name, "enrol", code, **({"enrol": enrol} if enrol else {}), **given)

    refuse("another nonce", "invite", nonce=b64(world.secret("other nonce")))
    refuse("invite hashed without its domain", "invite", world.enrol(nonce, ed, invite=b64(sha256(b64(nonce).encode()))))
    refuse("invite hashed from the raw nonce", "invite", world.enrol(nonce, ed, invite=b64(sha256(nonce))))
    refuse(
        "invite under another label", "invite", world.enrol(nonce, ed, invite=b64(sha256(domain("enrol", "bearer", b64(nonce)))))
    )
    refuse("a nonce of 31 bytes", "field", nonce=b64(nonce[:31]))
    refuse("another organisation", "org", world.enrol(nonce, ed, org=b64(bytes(32))))
    refuse("another pin", "org", pin=b64(bytes(32)))
    refuse("another origin", "origin", world.enrol(nonce, passkey, spoil={"origin": "https://evil.example"}))
    refuse("no user verification", "flags", world.enrol(nonce, passkey, spoil={"flags": 0x09}))
    refuse("backup flag against its own statement", "backup", world.enrol(nonce, passkey, spoil={"flags": 0x05}))
    refuse("a passkey as client key", "alg", world.enrol(nonce, ed, client=passkey.key))
    refuse("a client that joins with a passkey", "alg", world.enrol(nonce, passkey))
    refuse("an ed25519 deny key", "alg", world.enrol(nonce, ed, deny=ed.key))
    refuse("a passkey as deny key", "alg", world.enrol(nonce, ed, deny=passkey.key))
    refuse("a KEM key of a reserved suite", "field", world.enrol(nonce, ed, kem={"suite": "mlkem768p256", "public": "AAAA"}))
    refuse("a KEM key off the curve", "field", world.enrol(nonce, ed, kem={"suite": "p256", "public": b64(b"\4" + bytes(64))}))
    refuse("a KEM key of 64 bytes", "field", world.enrol(nonce, ed, kem={"suite": "p256", "public": b64(bytes(64))}))
    refuse("an unknown field", "field", world.enrol(nonce, ed, secret=b64(nonce)))
    refuse("no name", "field", world.enrol(nonce, ed, name=None))
    value = world.enrol(nonce, ed)
    other = world.enrol(nonce, ec)
    refuse("signed by another key than its auth", "signature", {**value, "signatures": other["signatures"]})
    refuse("a name changed on the way", "signature", {**world.enrol(nonce, ed, name="x"), "signatures": value["signatures"]})
    refuse("no signature", "signature", {**value, "signatures": []})
    refuse("two signatures", "signature", {**value, "signatures": value["signatures"] * 2})
    refuse("another type", "type", {**value, "type": type_of("login")})
    refuse("a hidden character in the name", "char", {**value, "payload": b64(b'{"name":"\xe2\x80\xae"}')})
    refuse("a login instead", "type", sign("login", {"org": world.pin, "origin": ORIGIN, "nonce": "", "issued": 1}, ed))
    for name, info in (("id", ["stillvault/v1/enrol", "id"]), ("other case", ["stillvault/v1/enrol", "Proof"])):
        book.refuse(f"the proof under {name}", "open", "open", info=info)
