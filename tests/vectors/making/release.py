"""own-release.json: the client's checks before it delivers (8), and what is a denial."""

from __future__ import annotations

from typing import Any

from tests.reference import seal
from tests.reference.encoding import b64, encode
from tests.reference.signed import wrap
from tests.reference.world import DAY, NOW, Asked, Sealed, World

from .book import Book

KEY, MAIN, ROOT, SOLO = "prod/api/key", "prod/db/main", "prod/db/root", "prod/solo"


class Scene:
    """One request for one secret, and the book that its cases go into."""

    def __init__(self, book: Book, world: World, path: str = KEY, asked: Asked | None = None, **sealing: Any) -> None:
        self.book, self.world = book, world
        self.sealed: Sealed = world.seal(path, **sealing)
        self.asked = asked or world.ask(path)

    def given(self, *releases: Any, **given: Any) -> dict[str, Any]:
        base = {
            "request": self.asked.wrapper, "ephemeral_secret": b64(self.asked.ephemeral_secret), "secret": self.sealed.wrapper,
            "ciphertext": b64(self.sealed.ciphertext), "releases": list(releases),
        }  # fmt: skip
        default = self.book.defaults.get("client", {})
        return {name: item for name, item in {**base, **given}.items() if default.get(name) != item}

    def by(self, device: str, **changes: Any) -> dict[str, Any]:
        """A release by a device, with changes to its decision."""
        return self.world.release(device, self.asked, self.sealed, **changes)

    def accept(self, name: str, *releases: Any, **given: Any) -> None:
        self.book.accept(name, "client", **self.given(*releases, **given))

    def refuse(self, name: str, code: str, *releases: Any, **given: Any) -> None:
        self.book.refuse(name, "client", code, **self.given(*releases, **given))


def make(world: World) -> Book:
    book = Book("own-release")
    scene = Scene(book, world)
    ready = {**world.trust_inputs(), "remembered": [0, 0], **scene.given()}
    book.defaults["client"] = ready
    book.defaults["denied"] = {**world.trust_inputs(), "request": scene.asked.wrapper, "secret": scene.sealed.wrapper}
    _request(scene)
    _secret(scene)
    _decision(scene)
    _item(scene)
    _sealed_part(scene)
    _quorum(book, world)
    _lease(book, world)
    _reseal(book, world)
    _denied(scene)
    _denied_reseal(book, world)
    return book


def _request(scene: Scene) -> None:
    world, ben = scene.world, scene.by("ben-token")
    scene.accept("good by ben", ben)
    scene.accept("good by ana's laptop", scene.by("ana-laptop"))
    scene.accept("nothing remembered", ben, remembered=[0, 0])
    scene.refuse("request expires this second", "expired", ben, now=NOW + 200)
    scene.accept("request in its last second", scene.by("ben-token", expires=NOW + 900), now=NOW + 199)
    for name, code, changes in (
        ("of another organisation", "org", {"org": b64(bytes(32))}), ("that saw a newer roster", "stale-roster",
        {"roster": [1, 8]}),
        ("that saw a newer root", "stale-roster", {"roster": [2, 0]}), ("for a newer version", "version", {"minimum": [3, 1]}),
        ("with an unknown field", "field", {"extra": 1}),
    ):  # fmt: skip
        other = Scene(scene.book, world, asked=world.ask(KEY, **changes))
        other.refuse(f"request {name}", code, other.by("ben-token") if code != "field" else ben)
    other = Scene(scene.book, world, asked=world.ask("prod/api/other"))
    other.refuse("request for another path", "path-mismatch", other.by("ben-token"))
    older = Scene(scene.book, world, asked=world.ask(KEY, roster=[1, 3]))
    older.accept("request that saw an older roster", older.by("ben-token"))
    scene.refuse("request that is none", "type", ben, request=scene.sealed.wrapper)
    scene.refuse("another ephemeral key", "release", ben, ephemeral_secret=b64(world.secret("other")))
    scene.refuse("answer to another request", "item", ben, request=world.ask(KEY, name="other").wrapper)


def _secret(scene: Scene) -> None:
    ben = scene.by("ben-token")
    scene.refuse("remembered a newer revision", "version", ben, remembered=[3, 1])
    scene.accept("remembered the same", ben, remembered=[3, 0])
    scene.refuse("floor above it", "version", ben, roster=scene.world.roster(floors=[[KEY, 3, 1]]))
    scene.refuse(
        "secret by nobody on the roster",
        "sealer",
        ben,
        secret=scene.world.seal(by={"person": "zed", "device": "dan-cli"}).wrapper,
    )
    scene.refuse("secret of another sealing", "item", ben, secret=scene.world.seal(sealed=NOW - 1).wrapper)
    scene.refuse("policy of today wants two", "threshold", ben, roster=scene.world.with_policy("prod", threshold=2))
    scene.refuse("no policy today", "no-policy", ben, roster=scene.world.roster(policies=scene.world.policies()[2:3]))
    scene.refuse(
        "a bit of the ciphertext",
        "ciphertext",
        ben,
        ciphertext=b64(bytes([scene.sealed.ciphertext[0] ^ 1]) + scene.sealed.ciphertext[1:]),
    )
    scene.refuse("no ciphertext", "ciphertext", ben, ciphertext="")
    scene.refuse("expired roster", "expired", ben, roster=scene.world.roster(expires=NOW))
    scene.refuse("another pin", "pin", ben, pin=b64(bytes(32)))
    for name, code, edit in (
        ("another key committed to", "dek", {"dek_commitment": b64(bytes(32))}),
        ("another hash of the ciphertext", "ciphertext", {"ciphertext_hash": b64(bytes(32))}),
        ("another length", "ciphertext", {"length": 81}),
    ):  # fmt: skip
        spoilt = Scene(scene.book, scene.world, **edit)
        content = seal.open_stanza(scene.sealed.payload, 2, scene.world.devices["ben-token"].kem)
        spoilt.refuse(f"secret with {name}", code, spoilt.by("ben-token", content=content))


def _decision(scene: Scene) -> None:
    world = scene.world
    ben = scene.by("ben-token")
    for name, code, device, changes in (
        ("of another organisation", "org", "ben-token", {"org": b64(bytes(32))}),
        ("under a newer roster", "stale-roster", "ben-token", {"roster": [1, 8]}),
        ("that denies", "verdict", "ben-token", {"verdict": "deny"}), ("that freezes", "verdict", "ben-token",
        {"verdict": "freeze"}),
        ("expired", "expired", "ben-token", {"expires": NOW}), ("of the future", "future", "ben-token", {"issued": NOW + 301}),
        ("by another person", "device", "ben-token", {"person": "ana"}), ("by an unknown person", "device", "ben-token",
        {"person": "zed"}),
        ("by an unknown device", "device", "ben-token", {"edit": lambda value: value.update(device="ben-other")}),
        ("by a device named but not signing", "signature", "ben-token", {"edit": lambda value: value.update(person="cho",
        device="cho-lab")}),
        ("by a sealer", "not-approver", "dan-cli", {}), ("by an approver outside the policy", "not-approver", "eve-phone", {}),
        ("from a tier too low", "tier", "cho-lab", {}), ("with an unknown field", "field", "ben-token", {"extra": 1}),
        ("signed with the deny key", "signature", "ana-laptop", {"signer": world.devices["ana-laptop"].deny}),
        ("signed with a key of the own other device", "signature", "cho-phone", {"signer": world.devices["cho-lab"].auth[0]}),
        ("at another origin", "origin", "ana-laptop", {"spoil": {"origin": "https://evil.example"}}),
        ("without user verification", "flags", "ana-laptop", {"spoil": {"flags": 1}}),
        ("in a foreign frame", "cross-origin", "ana-laptop", {"spoil": {"crossOrigin": True}}),
        ("at another relying party", "rp-id", "ana-laptop", {"spoil": {"rp_id": "evil.example"}}),
        ("with a credential that can be copied", "backup", "ana-laptop", {"spoil": {"flags": 0x0D}}),
        ("over another challenge", "challenge", "ana-laptop", {"spoil": {"challenge": b64(bytes(32))}}),
        ("made at registration", "client-data", "ana-laptop", {"spoil": {"type": "webauthn.create"}}),
    ):  # fmt: skip
        position = 0 if device in ("dan-cli", "eve-phone", "cho-lab") else None
        content = bytes(32) if position == 0 else None
        scene.refuse(f"decision {name}", code, scene.by(device, content=content, position=position, **changes))
    scene.accept("decision issued 300 s ahead", scene.by("ben-token", issued=NOW + 300))
    scene.accept("decision in its last second", scene.by("ben-token", expires=NOW + 1))
    scene.accept("decision that outlives the request", scene.by("ben-token", expires=NOW + DAY))
    scene.accept("decision under an older roster", scene.by("ben-token", roster=[1, 1]))
    scene.accept("decision with a note and a head of the log", scene.by("ben-token", note="ok", log_head=[1, world.pin]))
    scene.accept("decision by the second credential", scene.by("cho-phone", signer=world.devices["cho-phone"].auth[1]))
    for name, code, changes in (
        ("device that has expired", "device", {"expires": NOW}), ("device added a second later", "device", {"added": NOW + 1}),
        ("device whose credential was taken out", "signature", {"auth": [world.signer("new", "es256").key]}),
        ("device that is soft now", "tier", {"tier": "soft"}),
    ):  # fmt: skip
        scene.refuse(f"decision by a {name}", code, ben, roster=world.with_device("ben-token", **changes))
    scene.accept("decision by a device added this second", ben, roster=world.with_device("ben-token", added=NOW))
    scene.refuse(
        "decision by one who left the policy", "not-approver", ben, roster=world.with_policy("prod", people=["ana", "cho"])
    )
    scene.refuse("decision by one who lost the role", "not-approver", ben, roster=world.roster(_lost_role))
    scene.refuse(
        "policy of today wants a better tier",
        "tier",
        scene.by("ana-phone"),
        roster=world.with_policy("prod", tier="device-gated"),
    )
    scene.accept(
        "policy of today wants just this tier", scene.by("ana-laptop"), roster=world.with_policy("prod", tier="device-gated")
    )


def _lost_role(value: dict[str, Any]) -> None:
    value["people"][1].update(roles=["auditor"])
    for policy in value["policies"]:
        policy.update(people=["ana"], threshold=1)


def _item(scene: Scene) -> None:
    def item(name: str, code: str, **changes: Any) -> None:
        scene.refuse(f"item {name}", code, scene.by("ben-token", edit=lambda value: value["items"][0].update(changes)))

    item("of another secret", "item", secret=b64(bytes(32)))
    item("of another path", "item", path="prod/api/kez")
    item("of another version", "item", version=4)
    item("of another revision", "item", revision=1)
    item("of another request", "item", request=b64(bytes(32)))
    item("under another index", "index", index=1)
    item("under index 0", "index", index=0)
    scene.refuse("no items", "item", scene.by("ben-token", edit=lambda value: value.update(items=[])))
    scene.refuse(
        "one request in two items", "item", scene.by("ben-token", edit=lambda value: value["items"].append(value["items"][0]))
    )
    other = scene.world.ask("prod/api/other")
    pair = scene.world.seal("prod/api/other")
    both = scene.world.decide("ben-token", [(other, pair), (scene.asked, scene.sealed)])
    scene.accept("second of two items", scene.by("ben-token", decision=both))
    twice = scene.world.decide("ben-token", [(scene.asked, scene.sealed), (other, pair), (other, pair)])
    scene.refuse("another request in two items", "item", scene.by("ben-token", decision=twice))


def _sealed_part(scene: Scene) -> None:
    good = scene.by("ben-token")
    entry = good["sealed"][0]
    other = scene.world.release("ben-token", scene.world.ask("prod/api/other"), scene.world.seal("prod/api/other"))
    for name, code, sealed in (
        ("no sealed part", "release", []), ("two sealed parts", "release", [entry, entry]),
        ("sealed part under another request", "release", [[b64(bytes(32)), *entry[1:]]]),
        ("sealed part of another release", "release", [[entry[0], *other["sealed"][0][1:]]]),
        ("a bit of the sealed part", "release", [[*entry[:2], ("A" if entry[2][0] != "A" else "B") + entry[2][1:]]]),
        ("sealed part of two", "field", [entry[:2]]), ("enc of 64 bytes", "field", [[entry[0], b64(bytes(64)), entry[2]]]),
        ("ct of 47 bytes", "field", [[*entry[:2], b64(bytes(47))]]),
    ):  # fmt: skip
        scene.refuse(name, code, {**good, "sealed": sealed})
    scene.accept("sealed part of another request beside", {**good, "sealed": [*other["sealed"], entry]})
    scene.refuse("release with an unknown field", "field", {**good, "extra": 1})
    scene.refuse("release without a decision", "field", {"sealed": good["sealed"]})
    scene.refuse(
        "decision signed twice",
        "signature",
        {**good, "decision": {**good["decision"], "signatures": good["decision"]["signatures"] * 2}},
    )
    scene.refuse("another dek sealed", "dek", scene.by("ben-token", content=bytes(32)))
    anew = scene.world.decide("ben-token", [(scene.asked, scene.sealed)], note="again")
    scene.refuse("sealed part under a new decision", "release", {**good, "decision": anew})


def _quorum(book: Book, world: World) -> None:
    scene = Scene(book, world, MAIN)
    ana, ben, cho = (scene.by(device) for device in ("ana-laptop", "ben-token", "cho-phone"))
    scene.accept("two of three", ana, ben)
    scene.accept("two of three, the other way round", ben, ana)
    scene.accept("three of three", cho, ana, ben)
    scene.refuse("one of three", "quorum", ana)
    scene.refuse("nobody", "quorum")
    scene.refuse("one twice", "same-person", ana, ana)
    scene.refuse("one person with two devices", "same-person", ana, scene.by("ana-phone"))
    scene.refuse("three releases of two people", "same-person", ana, ben, scene.by("ana-phone"))
    wrong = scene.by("cho-phone", content=bytes(32))
    scene.refuse("a share that is not the sealer's", "share", ana, wrong)
    scene.refuse("a wrong share beside two good ones", "share", ana, ben, wrong)
    scene.refuse("a bad decision beside two good ones", "verdict", ana, ben, scene.by("cho-phone", verdict="deny"))
    scene.refuse(
        "share of one under the index of another",
        "index",
        ana,
        scene.by("ben-token", edit=lambda value: value["items"][0].update(index=3)),
    )
    swapped = world.seal(MAIN, edit=lambda value: value["core"]["share_commitments"][0].__setitem__(1, b64(bytes(32))))
    spoilt = Scene(book, world, MAIN)
    spoilt.sealed = swapped
    contents = [
        seal.open_stanza(scene.sealed.payload, at, world.devices[name].kem) for at, name in ((0, "ana-laptop"), (2, "ben-token"))
    ]
    spoilt.refuse("a commitment that the sealer changed", "share", spoilt.by("ana-laptop", content=contents[0]),
                  spoilt.by("ben-token", content=contents[1]))  # fmt: skip
    scene.accept("policy of today wants one, sealed for two", ana, ben, roster=world.with_policy("db", threshold=1))
    scene.refuse(
        "policy of today wants one, sealed for two, one came", "quorum", ana, roster=world.with_policy("db", threshold=1)
    )
    scene.accept("people reordered since", ana, ben, roster=world.with_policy("db", people=["cho", "ben", "ana"]))
    crown = Scene(book, world, ROOT)
    crown.accept("two of three with a recovery group", crown.by("ana-phone"), crown.by("cho-phone"))
    solo = Scene(book, world, SOLO)
    solo.accept("one of three with a recovery group", solo.by("ben-token"))
    single = Scene(book, world)
    single.accept("two where one is enough", single.by("ana-phone"), single.by("ben-token"))
    single.refuse("a wrong dek beside a good one", "dek", single.by("ana-phone"), single.by("ben-token", content=bytes(32)))


def _lease(book: Book, world: World) -> None:
    for name, items, request in (
        ("least window of two decisions", [{"window": 100}, {"window": 50}], {}), ("uses of a decision", [{"uses": 3},
        {"uses": 2}], {}),
        ("window of the request", [{}, {}], {"window": 30}), ("uses of the request", [{}, {}], {"uses": 1}),
        ("a decision without a lease", [{"window": 0}, {}], {}),
    ):  # fmt: skip
        scene = Scene(book, world, MAIN, asked=world.ask(MAIN, **request))

        def release(device: str, changes: dict[str, Any], scene: Scene = scene) -> Any:
            return scene.by(device, edit=lambda value: value["items"][0].update(changes))

        scene.accept(f"lease: {name}", release("ana-laptop", items[0]), release("ben-token", items[1]))
    scene = Scene(book, world)
    scene.accept(
        "lease: policy of today", scene.by("ben-token"), roster=world.with_policy("prod", window=60, uses=4, scope="unit")
    )


def _reseal(book: Book, world: World) -> None:
    scene = Scene(book, world, asked=world.ask_reseal())
    ben = scene.by("ben-token")
    scene.accept("reseal", ben)
    scene.accept("reseal: the policy of today wants two", ben, roster=world.with_policy("prod", threshold=2))
    scene.accept("reseal: by one who left the policy", ben, roster=world.with_policy("prod", people=["ana", "cho"]))
    scene.accept(
        "reseal: the policy of today wants a better tier",
        scene.by("ana-phone"),
        roster=world.with_policy("prod", tier="device-bound"),
    )
    scene.refuse("reseal: the sealed tier still counts", "tier", scene.by("cho-lab", content=bytes(32), position=0),
                 roster=world.with_policy("prod", tier="soft"))  # fmt: skip
    scene.refuse("reseal: by one who lost the role", "not-approver", ben, roster=world.roster(_lost_role))
    scene.refuse("reseal: by one who is only in the policy of today", "not-approver",
                 scene.by("eve-phone", content=bytes(32), position=0), roster=world.with_policy("prod",
                 people=["eve"]))  # fmt: skip
    scene.refuse("reseal: by a device out of date", "device", ben, roster=world.with_device("ben-token", expires=NOW))
    scene.refuse("reseal: older than remembered", "version", ben, remembered=[3, 1])
    two = Scene(book, world, MAIN, asked=world.ask_reseal(MAIN))
    two.accept("reseal: two as sealed", two.by("ana-phone"), two.by("ben-token"), roster=world.with_policy("db", threshold=1))
    two.refuse("reseal: one, sealed for two", "quorum", two.by("ana-phone"), roster=world.with_policy("db", threshold=1))
    nobody = Scene(book, world, asked=world.ask_reseal(), edit=lambda value: value["core"]["policy"].update(threshold=0))
    nobody.refuse("reseal: sealed for nobody", "recipients")


def _denied(scene: Scene) -> None:
    world, book = scene.world, scene.book
    pair = [(scene.asked, scene.sealed)]

    def decide(device: str, verdict: str = "deny", **changes: Any) -> dict[str, Any]:
        return world.decide(device, pair, verdict=verdict, **changes)

    def accept(name: str, decision: dict[str, Any], **given: Any) -> None:
        book.accept(f"denied: {name}", "denied", decision=decision, **given)

    def refuse(name: str, code: str, decision: dict[str, Any], **given: Any) -> None:
        book.refuse(f"denied: {name}", "denied", code, decision=decision, **given)

    deny = world.devices["ana-laptop"].deny
    accept("deny", decide("ben-token"))
    accept("freeze", decide("ana-laptop", "freeze"))
    accept("deny with the deny key", decide("ana-laptop", signer=deny))
    accept("freeze with the deny key", decide("ana-laptop", "freeze", signer=deny))
    accept("from a tier too low", decide("cho-lab"))
    accept("with a secret that says nothing", decide("ben-token"), secret=wrap("secret", {}))
    accept(
        "item of another secret", decide("ben-token", edit=lambda value: value["items"][0].update(secret=b64(bytes(32)), index=9))
    )
    accept("of a quorum", decide("ben-token"), roster=world.with_policy("prod", threshold=3))
    accept("request long expired", decide("ben-token", expires=NOW + DAY), now=NOW + 900)
    refuse("approve", "verdict", decide("ben-token", "approve"))
    refuse("approve with the deny key", "signature", decide("ben-token", "approve", signer=deny))
    refuse("with the deny key of another device", "signature", decide("ana-phone", signer=deny))
    refuse("by one outside the policy", "not-approver", decide("eve-phone"))
    refuse("by one who left the policy", "not-approver", decide("ben-token"), roster=world.with_policy("prod", people=["ana"]))
    refuse("by a sealer", "not-approver", decide("dan-cli"))
    refuse("by an unknown device", "device", decide("ben-token", edit=lambda value: value.update(device="x")))
    refuse("by a device out of date", "device", decide("ben-token"), roster=world.with_device("ben-token", expires=NOW))
    refuse("by a device of tomorrow", "device", decide("ben-token"), roster=world.with_device("ben-token", added=NOW + 1))
    refuse("expired", "expired", decide("ben-token", expires=NOW))
    refuse("of the future", "future", decide("ben-token", issued=NOW + 301))
    refuse("of another organisation", "org", decide("ben-token", org=b64(bytes(32))))
    refuse("under a newer roster", "stale-roster", decide("ben-token", roster=[1, 8]))
    refuse("signed by the client", "signature", decide("ben-token", signer=world.client_signer))
    refuse("no items", "item", decide("ben-token", edit=lambda value: value.update(items=[])))
    refuse("one request in two items", "item", decide("ben-token", edit=lambda value: value["items"].append(value["items"][0])))
    refuse("of another request", "item", decide("ben-token"), request=world.ask(KEY, name="other").wrapper)
    refuse("changed on the way", "signature", {**decide("ben-token"), "payload": decide("ben-token", note="x")["payload"]})
    refuse("expired roster", "expired", decide("ben-token"), roster=world.roster(expires=NOW))
    refuse("no policy today", "no-policy", decide("ben-token"), roster=world.roster(policies=world.policies()[2:3]))
    refuse("at another origin", "origin", decide("ana-phone", spoil={"origin": "https://evil.example"}))


def _denied_reseal(book: Book, world: World) -> None:
    sealed, asked = world.seal(), world.ask_reseal()
    given = {"request": asked.wrapper, "secret": sealed.wrapper}
    ben, eve = (
        world.decide("ben-token", [(asked, sealed)], verdict="deny"),
        world.decide("eve-phone", [(asked, sealed)], verdict="deny"),
    )
    book.accept("denied: reseal", "denied", decision=ben, **given)
    book.accept(
        "denied: reseal, left the policy", "denied", decision=ben, roster=world.with_policy("prod", people=["ana"]), **given
    )
    book.accept("denied: reseal of an old version", "denied", decision=ben, roster=world.roster(floors=[[KEY, 9, 0]]), **given)
    book.refuse("denied: reseal, only in the policy of today", "denied", "not-approver", decision=eve,
                roster=world.with_policy("prod", people=["eve"]), **given)  # fmt: skip
    forged = world.seal(
        edit=lambda value: value["core"]["policy"].update(people=["eve"]), signer=world.devices["eve-phone"].auth[0]
    )
    book.refuse(
        "denied: reseal, people of a forged secret",
        "denied",
        "signature",
        decision=eve,
        request=asked.wrapper,
        secret=forged.wrapper,
    )
    book.refuse("denied: reseal, secret of another path", "denied", "path-mismatch", decision=ben, request=asked.wrapper,
                secret=world.seal("prod/api/other").wrapper)  # fmt: skip
    assert encode(given["request"])
