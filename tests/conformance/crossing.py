"""Organisations drawn at random, and the product's core put to work in them beside the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from stillvault import _native
from tests.conformance import sides
from tests.reference import release, seal, signed
from tests.reference.encoding import Refused, b64, encode, parse_json, sha256, unb64
from tests.reference.world import Asked, Device, Draw, Sealed, Signer, World, sign

PATH = "prod/api/key"
TIERS = ("soft", "synced", "device-gated", "device-bound")


@dataclass(frozen=True)
class Plan:
    """What an organisation looks like; `devices` holds, for each approver, the (algorithm, tier) of each device."""

    seed: int
    devices: tuple[tuple[tuple[str, str], ...], ...]
    threshold: int
    tier: str
    recovery: tuple[int, int] | None
    window: int
    uses: int
    scope: str
    sealer: str

    @property
    def people(self) -> list[str]:
        return [f"p{at}" for at in range(len(self.devices))]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    device = st.tuples(st.sampled_from(["ed25519", "es256", "webauthn-es256"]), st.sampled_from(TIERS))
    devices = draw(st.lists(st.lists(device, min_size=1, max_size=2).map(tuple), min_size=1, max_size=5).map(tuple))
    keys = draw(st.integers(2, 4))
    return Plan(
        seed=draw(st.integers(0, 10**6)),
        devices=devices,
        threshold=draw(st.integers(1, len(devices))),
        tier=draw(st.sampled_from(["soft", "soft", "soft", "synced", "device-gated"])),
        recovery=draw(st.none() | st.integers(2, keys).map(lambda least: (least, keys))),
        window=draw(st.sampled_from([0, 1, 900, 28800])),
        uses=draw(st.sampled_from([0, 1, 5])),
        scope=draw(st.sampled_from(["process", "task", "exe", "unit"])),
        sealer=draw(st.sampled_from(["ed25519", "es256"])),
    )


class Drawn(World):
    """The world of a plan. Its sealer is `sam`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__(f"plan {plan.seed}")

    def _devices(self) -> dict[str, Device]:
        made = [Device("sam", "sam-cli", "soft", [self.signer("sam", self.plan.sealer)], b"")]
        for person, devices in zip(self.plan.people, self.plan.devices, strict=True):
            for at, (alg, tier) in enumerate(devices):
                name = f"{person}-{at}"
                made.append(Device(person, name, tier, [self.signer(name, alg, backup=tier == "synced")], b""))
        for device in made:
            device.kem = self.secret(f"kem-{device.id}")
        return {device.id: device for device in made}

    def people(self) -> list[dict[str, Any]]:
        return [
            {
                "id": person, "name": person, "roles": ["sealer"] if person == "sam" else ["approver"],
                "devices": [device.entry for device in self.devices.values() if device.person == person],
            }
            for person in ["sam", *self.plan.people]
        ]  # fmt: skip

    def policies(self) -> list[dict[str, Any]]:
        policy: dict[str, Any] = {
            "id": "only", "match": ["prod/**"], "threshold": self.plan.threshold, "people": self.plan.people,
            "tier": self.plan.tier, "window": self.plan.window, "scope": self.plan.scope, "uses": self.plan.uses, "ttl": 300,
            "code": False, "deny": "veto",
        }  # fmt: skip
        if self.plan.recovery:
            least, count = self.plan.recovery
            kems = [self.signer(f"safe-{n}", "es256").key["public"] for n in range(count)]
            keys = [{"id": f"safe-{n}", "kem": {"suite": "p256", "public": public}} for n, public in enumerate(kems)]
            policy["recovery"] = {"threshold": least, "keys": keys}
        return [policy]


def core_trust(world: World) -> _native.Trust:
    return _native.Trust.verify(unb64(world.pin), [encode(root) for root in world.roots], encode(world.roster_wrapper), world.now)


def core_key(signer: Signer) -> _native.SigningKey:
    return _native.SigningKey.from_bytes(signer.alg, signer.secret)


def seal_by_core(world: World, data: bytes) -> Sealed:
    sealer = world.devices["sam-cli"]
    key, value = core_key(sealer.auth[0]), _native.Value.from_bytes(data)
    sealed = _native.seal(core_trust(world), key, ("sam", "sam-cli"), PATH, value, (3, 0), None, world.now)
    return _sealed(sealed.secret, sealed.ciphertext)


def _sealed(wrapper: bytes, ciphertext: bytes) -> Sealed:
    value = parse_json(wrapper)
    assert encode(value) == wrapper  # what travels is canonical
    return Sealed(value, ciphertext, signed.peek("secret", value))


def seal_by_reference(world: World, data: bytes) -> Sealed:
    sealer = world.devices["sam-cli"]
    payload, ciphertext = seal.seal(
        world.trust(), ("sam", "sam-cli"), PATH, data, [3, 0], world.now, Draw(f"{world.seed} {data!r}")
    )
    return Sealed(sign("secret", payload, sealer.auth[0]), ciphertext, payload)


def made_by_console(op: str, given: dict[str, Any]) -> Any:
    """What the console makes; its refusal as the reference raises one."""
    answer = sides.third(op, given)
    if answer.kind == "refuse":
        raise Refused(answer.code, "by the console")
    assert answer.kind == "accept", str(answer)
    return answer.value


def seal_by_console(world: World, data: bytes) -> Sealed:
    signer = world.devices["sam-cli"].auth[0]
    made = made_by_console("make-seal", {
        **world.trust_inputs(), "signer": {"alg": signer.alg, "secret": b64(signer.secret)}, "by": ["sam", "sam-cli"],
        "path": PATH, "value": b64(data), "version": [3, 0],
    })  # fmt: skip
    sealed = Sealed(made["secret"], unb64(made["ciphertext"]), signed.peek("secret", made["secret"]))
    assert b64(signed.oid_of(sealed.wrapper)) == made["oid"]
    return sealed


def release_by_console(world: World, device: Device, asked: Asked, sealed: Sealed, window: int) -> dict[str, Any]:
    found: dict[str, Any] = made_by_console("make-release", {
        **world.trust_inputs(), "own": [device.person, device.id], "client_cert": world.cert, "request": asked.wrapper,
        "secret": sealed.wrapper, "decision": decide(world, device, asked, sealed, window), "secret_key": b64(device.kem),
    })  # fmt: skip
    return found


def release_by_core(world: World, device: Device, asked: Asked, sealed: Sealed, window: int) -> dict[str, Any]:
    """The core checks the prompt, signs where it can (a passkey cannot be asked), and releases."""
    trust = core_trust(world)
    own, shown = (device.person, device.id), [encode(item) for item in (world.cert, asked.wrapper, sealed.wrapper)]
    prompt = _native.check_prompt(trust, own, shown[0], shown[1], shown[2], False, None, world.now)
    decision = decide(world, device, asked, sealed, window)
    if device.auth[0].alg != "webauthn-es256":
        mine = core_key(device.auth[0]).sign("decision", unb64(decision["payload"]))
        assert signed.oid_of(parse_json(mine)) == signed.oid_of(decision)
        decision = parse_json(mine)
    raw = _native.release(trust, [prompt], encode(decision), _native.KemKey.from_bytes(device.kem), world.now)
    found: dict[str, Any] = parse_json(raw)
    assert encode(found) == raw
    return found


def release_by_reference(world: World, device: Device, asked: Asked, sealed: Sealed, window: int) -> dict[str, Any]:
    own = [device.person, device.id]
    memory: dict[str, Any] = {"decided": [], "secrets": {}}
    seen = release.check_prompt(world.trust(), own, world.cert, asked.wrapper, sealed.wrapper, memory, world.now)
    decision = decide(world, device, asked, sealed, window)
    return release.release(
        decision, seen["position"], seen["index"], device.kem, asked.wrapper, sealed.wrapper, sha256(decision["payload"].encode())
    )


def decide(world: World, device: Device, asked: Asked, sealed: Sealed, window: int) -> dict[str, Any]:
    return world.decide(device.id, [(asked, sealed)], edit=lambda value: value["items"][0].update(window=window))


def opened_by_core(
    world: World, asked: Asked, ephemeral: _native.Ephemeral, sealed: Sealed, releases: list[Any]
) -> tuple[bytes, Any]:
    opened = _native.open_releases(
        core_trust(world), encode(asked.wrapper), ephemeral, encode(sealed.wrapper), sealed.ciphertext,
        [encode(item) for item in releases], None, world.now,
    )  # fmt: skip
    return opened.value.reveal(), {"window": opened.window, "uses": opened.uses, "scope": opened.scope}


def ask_with(world: World, ephemeral: _native.Ephemeral) -> Asked:
    """A request whose ephemeral key only the core holds."""
    return world.ask(PATH, name="core", ephemeral=b64(ephemeral.public))

