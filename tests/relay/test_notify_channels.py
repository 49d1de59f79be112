"""Channels one by one: TLS and its authorities, mail, Web Push; and which hosts a message may go to."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from stillvault.relay.notify.egress import Egress, Unsent
from stillvault.relay.notify.webpush import encrypt, public_bytes
from stillvault.relay.places import place
from tests.relay.listeners import Arrived, certificate, listening, mail_server, until
from tests.relay.notified import NAMES, asked, card_id, ended, organisation
from tests.relay.parties import Device, Json, Organisation


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def private_key(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(unb64(text), "big"), ec.SECP256R1())


# ---- TLS ---------------------------------------------------------------------------------------------------------------


def secure_target(device: Device, port: int) -> Json:
    made: Json = device.post(
        "/v1/targets", {"kind": "ntfy", "name": "pixel", "url": f"https://localhost:{port}", "topic": "releases"}
    ).ok()
    return made


@pytest.mark.parametrize("known", [True, False])
def test_a_certificate_must_be_of_an_authority_that_the_operator_named(directory: Path, known: bool) -> None:
    ca, context = certificate(directory / "ca")
    with listening(context=context) as listener:
        settings = {"notify.egress": f"localhost:{listener.port}", **({"notify.ca": str(ca)} if known else {})}
        with organisation(directory, **settings) as org:
            made = secure_target(org.admin, listener.port)
            tried = org.admin.post("/v1/targets/test", {"id": made["id"]}).ok()
            assert tried == ({"sent": True, "outcome": "sent"} if known else {"sent": False, "outcome": "certificate"})
            assert [one.body for one in listener.arrived] == ([b"This is a test."] if known else [])


# ---- mail --------------------------------------------------------------------------------------------------------------


def mail_settings(port: int, **more: str) -> dict[str, str]:
    server = f"localhost:{port}"
    settings = {"egress": server, "smtp_server": server, "smtp_from": "vault@corp.example", "smtp_tls": "none", **more}
    return {f"notify.{name}": value for name, value in settings.items()}


def test_a_letter_without_names_reaches_a_real_mail_server(directory: Path) -> None:
    with mail_server() as server, organisation(directory, **mail_settings(server.port)) as org:
        db = org.client()
        org.seal()
        org.devices["ben"].post("/v1/targets", {"kind": "smtp", "name": "post", "address": "b.k@corp.example"}).ok()
        request = asked(db)
        rows = until(lambda: ended(org, "smtp"))
        assert [(row["detail"]["device"], row["detail"]["outcome"]) for row in rows] == [("post", "sent")]
        assert len(server.letters) == 1
        letter = server.letters[0]
        assert "Subject: 1 release is waiting\r\n" in letter
        assert f"{org.relay.url}/pending/{card_id(request)}" in letter
        assert "Auto-Submitted: auto-generated" in letter
        assert [name for name in NAMES if name in letter] == []
        assert server.recipients == ["TO:<b.k@corp.example>"]
        assert server.hello == ["localhost"], "the relay's public name, never the machine's"


def test_mail_signs_in_only_behind_starttls(directory: Path) -> None:
    ca, context = certificate(directory / "ca")
    (directory / "password").write_text("hunter2-hunter2\n")
    with mail_server(context) as server:
        more = {"smtp_tls": "starttls", "smtp_user": "vault", "smtp_password_FILE": str(directory / "password"), "ca": str(ca)}
        settings = mail_settings(server.port, **more)
        settings["notify.smtp_password_file"] = settings.pop("notify.smtp_password_FILE")
        with organisation(directory, **settings) as org:
            made = org.admin.post("/v1/targets", {"kind": "smtp", "name": "post", "address": "a@corp.example"}).ok()
            assert org.admin.post("/v1/targets/test", {"id": made["id"]}).ok() == {"sent": True, "outcome": "sent"}
            assert (server.encrypted, server.login) == ([True], ["\0vault\0hunter2-hunter2"])
            assert b"hunter2" not in b"".join(org.relay.stderr)


@pytest.mark.parametrize(("tls", "refuse", "outcome"), [("starttls", 0, "tls"), ("none", 550, "mail-550")])
def test_mail_says_why_it_failed(directory: Path, tls: str, refuse: int, outcome: str) -> None:
    """A server without STARTTLS gets nothing where STARTTLS is demanded; one that refuses the recipient is heard."""
    with mail_server(refuse=refuse) as server, organisation(directory, **mail_settings(server.port, smtp_tls=tls)) as org:
        made = org.admin.post("/v1/targets", {"kind": "smtp", "name": "post", "address": "a@corp.example"}).ok()
        assert org.admin.post("/v1/targets/test", {"id": made["id"]}).ok() == {"sent": False, "outcome": outcome}
        assert server.letters == []


# ---- Web Push ----------------------------------------------------------------------------------------------------------


def test_the_vector_of_rfc_8291() -> None:
    sender = private_key("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
    receiver = unb64("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
    plaintext = b"When I grow up, I want to be a watermelon"
    body = encrypt(receiver, unb64("BTBZMqHH6r4Tts7J_aSIgg"), plaintext, sender, unb64("DGv6ra1nlYgDCS1FRnbzlw"))
    assert b64(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_y"
        "l95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def opened(body: bytes, key: ec.EllipticCurvePrivateKey, auth: bytes) -> bytes:
    """As a browser does (RFC 8291), with the library's HKDF."""
    salt, length = body[:16], body[20]
    sender, record = body[21 : 21 + length], body[21 + length :]
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))

    def hkdf(salt: bytes, ikm: bytes, info: bytes, size: int) -> bytes:
        return HKDF(SHA256(), size, salt, info).derive(ikm)

    ikm = hkdf(auth, shared, b"WebPush: info\0" + public_bytes(key) + sender, 32)
    content, nonce = hkdf(salt, ikm, b"Content-Encoding: aes128gcm\0", 16), hkdf(salt, ikm, b"Content-Encoding: nonce\0", 12)
    plain = AESGCM(content).decrypt(nonce, record, None)
    assert plain[-1] == 2
    return plain[:-1]


def check_vapid(one: Arrived, audience: str, subject: str, application_key: str) -> None:
    scheme, _, rest = one.headers["authorization"].partition(" ")
    token, key = (part.partition("=")[2] for part in rest.split(", "))
    assert (scheme, key) == ("vapid", application_key)
    head, claims, signature = token.split(".")
    assert json.loads(unb64(head)) == {"typ": "JWT", "alg": "ES256"}
    said = json.loads(unb64(claims))
    assert (said["aud"], said["sub"]) == (audience, subject)
    raw = unb64(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    known = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unb64(key))
    known.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))


def subscribe(org: Organisation, port: int, key: ec.EllipticCurvePrivateKey, auth: bytes) -> Json:
    url = f"https://localhost:{port}/push/v2/long-subscription?q=1"
    body = {"kind": "webpush", "name": "chrome", "url": url, "p256dh": b64(public_bytes(key)), "auth": b64(auth)}
    made: Json = org.devices["ben"].post("/v1/targets", body).ok()
    return made


def test_a_push_holds_a_count_and_an_opaque_id_and_ends_with_its_subscription(directory: Path) -> None:
    ca, context = certificate(directory / "ca")
    key, auth = ec.generate_private_key(ec.SECP256R1()), b"a" * 16
    with listening(201, 410, context=context) as listener:
        settings = {"notify.egress": f"localhost:{listener.port}", "notify.ca": str(ca)}
        with organisation(directory, **settings) as org:
            ben, db = org.devices["ben"], org.client()
            org.seal("prod/a")
            org.seal("prod/b")
            made = subscribe(org, listener.port, key, auth)
            assert made["where"] == f"https://localhost:{listener.port}"
            request = asked(db, "prod/a")
            until(lambda: ended(org, "webpush"))
            one = listener.arrived[0]
            assert (one.path, one.headers["content-encoding"]) == ("/push/v2/long-subscription?q=1", "aes128gcm")
            assert json.loads(opened(one.body, key, auth)) == {"waiting": 1, "card": card_id(request)}
            check_vapid(one, f"https://localhost:{listener.port}", org.relay.url, ben.get("/v1/targets").ok()["vapid"])
            assert [name for name in NAMES if name in one.all] == []
            # 410: the browser ended its subscription, and so does the relay.
            asked(db, "prod/b")
            rows = until(lambda: (found := ended(org, "webpush")) and len(found) == 2 and found)
            assert rows[1]["detail"]["outcome"] == "failed: gone"
            assert ben.get("/v1/targets").ok()["targets"] == []
            assert (org.relay.data / "vapid.key").stat().st_mode & 0o777 == 0o600


# ---- egress ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://ntfy.corp", True),
        ("https://ntfy.corp:443/x", True),
        ("https://ntfy.corp:8443", False),
        ("http://ntfy.corp", False),
        ("http://ntfy.corp:443", False),
        ("http://10.0.0.7:8080", True),
        ("https://10.0.0.7:8080", False),
        ("https://wns2-par02p.notify.windows.com/w", True),
        ("https://notify.windows.com", False),
        ("https://notify.windows.com.evil.example", False),
        ("https://evilnotify.windows.com", False),
        ("https://[::1]:8443", True),
    ],
)
def test_the_list_is_of_hosts_ports_and_schemes(url: str, allowed: bool) -> None:
    egress = Egress(["ntfy.corp", "http://10.0.0.7:8080", "*.notify.windows.com", "[::1]:8443"])
    where = place(url)
    assert egress.allows(where.clear, where.host, where.port) is allowed


@pytest.mark.parametrize(
    "url",
    ["ftp://a", "https://A.example", "https://u@a.example", "https://a.example/#f", "https://a.example/ x", "https://a.example:0",
     "https://a.example:70000", "https://a.example\n", "https://a.example/\r\nX: y", "//a.example", "https://", "https://ä.example",
     "https://a.example?x", "https://a.example/" + "x" * 1000],
)  # fmt: skip
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a URL is"):
        place(url)


def resolving(*addresses: str) -> Callable[..., Any]:
    async def answer(*_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]

    return answer


HERE = ("127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1", "fe80::1", "::ffff:127.0.0.1")


@pytest.mark.parametrize("address", HERE)
def test_a_name_never_leads_to_this_machine_or_its_link(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look() -> list[str]:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolving(address))
        return await Egress(["ntfy.corp"]).addresses(False, "ntfy.corp", 443)

    with pytest.raises(Unsent, match="address"):
        asyncio.run(look())


def test_private_addresses_are_the_operators_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look() -> list[str]:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolving("127.0.0.1", "10.1.2.3", "10.1.2.3", "fd00::5"))
        return await Egress(["ntfy.corp"]).addresses(False, "ntfy.corp", 443)

    assert asyncio.run(look()) == ["10.1.2.3", "fd00::5"]
