"""own-recovery.json: opening with the recovery keys of the sealed policy (5.4, 11)."""

from __future__ import annotations

import copy
from typing import Any

from tests.reference import hpke, seal, shares
from tests.reference.encoding import b64, sha256, unb64
from tests.reference.world import DAY, NOW, Edit, Sealed, World, sign

from .book import Book

KEY, ROOT, SOLO = "prod/api/key", "prod/db/root", "prod/solo"
SAFES = {129: "safe-1", 130: "safe-2", 131: "safe-3"}


def make(world: World) -> Book:
    book = Book("own-recovery")
    book.defaults["recover"] = {**world.trust_inputs(), **given(world.seal(ROOT)), "path": ROOT, "keys": keys(world, 1, 2)}
    _keys(book, world)
    _secret(book, world)
    _opening(book, world)
    return book


def given(sealed: Sealed) -> dict[str, Any]:
    return {"secret": sealed.wrapper, "ciphertext": b64(sealed.ciphertext)}


def keys(world: World, *numbers: int) -> list[str]:
    return [b64(world.secret(f"safe-{number}")) for number in numbers]


def _keys(book: Book, world: World) -> None:
    for numbers in ((1, 2), (2, 1), (1, 3), (3, 2), (1, 2, 3)):
        book.accept(f"safes {numbers}", "recover", keys=keys(world, *numbers))
    solo = world.seal(SOLO)
    book.accept("where one person is enough", "recover", **given(solo), path=SOLO, keys=keys(world, 2, 3))
    book.refuse("no key", "recover", "quorum", keys=[])
    book.refuse("one key", "recover", "quorum", keys=keys(world, 3))
    book.refuse("one key, where one person is enough", "recover", "quorum", **given(solo), path=SOLO, keys=keys(world, 1))
    book.refuse("one key twice", "recover", "index", keys=keys(world, 1, 1))
    book.refuse("one key twice beside another", "recover", "index", keys=keys(world, 1, 2, 1))
    stranger, person = b64(world.secret("stranger")), b64(world.secret("kem-ana-laptop"))
    for name, other in (("a stranger", stranger), ("an approver", person)):
        book.refuse(f"the key of {name}", "recover", "not-recipient", keys=[*keys(world, 1), other])
        book.refuse(f"the key of {name} beside enough others", "recover", "not-recipient", keys=[*keys(world, 1, 2), other])
    book.refuse("sealed without recovery keys", "recover", "not-recipient", **given(world.seal(KEY)), path=KEY)
    with_solo = world.with_policy("solo", people=["ana"])
    book.refuse("of another organisation", "recover", "pin", pin=b64(bytes(32)))
    book.accept("the people of today do not matter", "recover", **given(solo), path=SOLO, roster=with_solo)
    book.accept("without a policy today", "recover", roster=world.roster(policies=world.policies()[:3]))
    book.accept("the policy of today wants three", "recover", roster=world.with_policy("crown", threshold=3))


def _secret(book: Book, world: World) -> None:
    """The checks of a sealed secret hold here too."""

    def refuse(name: str, code: str, sealed: Sealed | None = None, **more: Any) -> None:
        book.refuse(name, "recover", code, **(given(sealed) if sealed else {}), **more)

    refuse("roster that ended", "expired", now=NOW + 14 * DAY)
    refuse("asked for under another path", "path-mismatch", path=SOLO)
    refuse("by a stranger", "sealer", world.seal(ROOT, device="nobody"))
    refuse("with a signature of another", "signature", world.seal(ROOT, signer=world.devices["fay-cli"].auth[0]))
    refuse("sealed in the future", "future", world.seal(ROOT, sealed=NOW + 301))
    refuse("below its floor", "version", roster=world.roster(floors=[[ROOT, 3, 1]]))
    swapped = world.seal(ROOT, edit=lambda value: value["core"]["recipients"].__setitem__(4, [129, "recovery", "safe-2"]))
    refuse("a recovery key under another index", "recipients", swapped)
    refuse("commitments left out", "recipients", world.seal(ROOT, share_commitments=[]))


def _opening(book: Book, world: World) -> None:
    sealed = world.seal(ROOT)

    def refuse(name: str, code: str, one: Sealed, **more: Any) -> None:
        book.refuse(name, "recover", code, **{**given(one), **more})

    # 5.5: a stanza that was made for another core, or is another's
    refuse("a core that was changed after the stanzas", "stanza", world.seal(ROOT, salt=b64(bytes(32))))
    refuse("another's stanza", "stanza", world.seal(ROOT, edit=_stanza(4, 5)))
    book.accept("another's stanza that is not asked for", "recover", **given(world.seal(ROOT, edit=_stanza(6, 5))))
    # 5.4: a share that is not the one committed to, and shares of something else
    refuse("a false commitment", "share", _again(world, sealed, commitment=129))
    refuse("a false share", "share", _again(world, sealed, share=130))
    refuse("shares of another key", "dek", _again(world, sealed, all_of=world.secret("other dek")))
    # 5.3: the payload
    flipped = bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:]
    refuse("a bit of the ciphertext", "ciphertext", sealed, ciphertext=b64(flipped))
    refuse("the ciphertext of another secret", "ciphertext", sealed, ciphertext=b64(world.seal(SOLO, b"x" * 90).ciphertext))
    refuse("no ciphertext", "ciphertext", sealed, ciphertext="")
    hashed = _again(world, sealed, core={"ciphertext_hash": b64(sha256(flipped))})
    refuse("a ciphertext that its sealer never made", "decrypt", hashed, ciphertext=b64(flipped))


def _stanza(at: int, of: int) -> Edit:
    return lambda value: value["stanzas"].__setitem__(at, value["stanzas"][of])


def _again(
    world: World, sealed: Sealed, *, commitment: int = 0, share: int = 0, all_of: bytes = b"", core: dict[str, Any] | None = None
) -> Sealed:
    """Sealed by a sealer who lies: the recovery keys' stanzas are made anew for a core that was changed."""
    value = copy.deepcopy(sealed.payload)
    changed, salt = value["core"], unb64(value["core"]["salt"])
    places = {entry[0]: at for at, entry in enumerate(changed["recipients"])}
    parts = {index: seal.open_stanza(value, places[index], world.secret(name)) for index, name in SAFES.items()}
    if all_of:
        parts = shares.split(all_of, list(SAFES), [world.secret("row")])
    committed = [[index, b64(shares.commitment(salt, index, parts[index]))] for index in parts]
    changed["share_commitments"][-3:] = [[index, b64(bytes(32)) if index == commitment else item] for index, item in committed]
    changed.update(core or {})
    if share:
        parts[share] = bytes(32)
    for index in SAFES:
        public = seal.kem_public(world.trust(), changed["policy"], changed["recipients"][places[index]])
        enc, ct = hpke.seal(public, seal.stanza_info(changed, places[index]), parts[index], world.secret(f"again-{index}"))
        value["stanzas"][places[index]] = [b64(enc), b64(ct)]
    return Sealed(sign("secret", value, world.devices["dan-cli"].auth[0]), sealed.ciphertext, value)
