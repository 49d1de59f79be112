"""HTTPS to one relay: verified TLS against the pinned CA, and nothing else.

Use `Relay` for every call and `fetch_ca` once, before anything is trusted. What is promised:

* `http://` is refused before a byte is sent (also to loopback); no proxy setting is read; a redirect is never followed;
  there is no way to turn verification off.
* A refusal by the relay is `Unavailable` (or `RateLimited`): it carries no signature, so it can never count as a person's
  "no" (protocol section 8). Its text is the relay's, so whoever prints it must escape it.
* A call is sent again only where that is harmless (GET) and only when the connection kept from an earlier call had died.

A `Relay` belongs to one thread. Times are seconds, sizes bytes.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import select
import socket
import ssl
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from stillvault.protocol.errors import RateLimited, Refused, StillvaultError, Unavailable, Usage
from stillvault.protocol.messages import Event, Message, Problem

T = TypeVar("T")

MAX_ANSWER = 64 * 1024 * 1024  # bytes of one answer
MAX_CA = 64 * 1024  # bytes of /ca.pem
MAX_EVENT = 64 * 1024  # bytes of one line of the event stream
SKEW = 120  # seconds that two clocks may differ without a word
STREAM_SILENCE = 20.0  # seconds: four missed heartbeats end a stream
OUT_OF_DATE = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
URL = re.compile(r"[\x21-\x7e]{1,300}")
HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?"  # a name or IPv4
                  r"|[0-9a-f:]*:[0-9a-f:.]*")  # IPv6
CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class RelayRefused(Unavailable):
    """The relay answered, and refused. `status` is the HTTP status, `code` the relay's own word."""

    def __init__(self, status: int, code: str, message: str, remedy: str = "", field: str = "") -> None:
        super().__init__(code, message, remedy, field)
        self.status = status


def split_url(url: str) -> tuple[str, int]:
    """Host and port of a relay's address. Refuses everything that is not `https://HOST[:PORT]`, in ASCII."""
    bad = Usage("relay-url", "the relay's address has a bad host or port", "write it as https://HOST:PORT", "relay")
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        raise bad from None
    if parts.scheme != "https":
        raise Usage("relay-url", "a relay is reached over https alone", "write it as https://HOST:PORT", "relay")
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise Usage("relay-url", "the relay's address is a host and a port, no more", "write it as https://HOST:PORT", "relay")
    if not URL.fullmatch(url) or not HOST.fullmatch(parts.hostname):
        raise bad  # nothing is stripped or encoded on the way to the resolver
    return parts.hostname, port


def origin_of(url: str) -> str:
    """The origin that a `login` names: scheme, host and any port but 443."""
    host, port = split_url(url)
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}" if port == 443 else f"https://{shown}:{port}"


def fingerprint_of(pem: bytes) -> str:
    """`SHA256:` and the base64url of the hash of the one certificate in `pem`."""
    try:
        text = pem.decode("ascii")
        if text.count("-----BEGIN CERTIFICATE-----") != 1:
            raise ValueError
        der = ssl.PEM_cert_to_DER_cert(text.strip() + "\n")
    except ValueError:
        raise Refused("fingerprint", "what the relay gave as its CA is not one certificate") from None
    return "SHA256:" + base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")


def fetch_ca(url: str, fingerprint: str, *, timeout: float = 10) -> bytes:
    """Fetches `/ca.pem` without verification, sending nothing else, and refuses it unless it has that fingerprint."""
    host, port = split_url(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Safe here and nowhere else: the bytes that come back are compared with the fingerprint before anyone uses them.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    try:
        connection.request("GET", "/ca.pem", headers={"Accept": "application/x-pem-file"})
        answer = connection.getresponse()
        pem = answer.read(MAX_CA + 1)
    except (OSError, http.client.HTTPException) as error:
        raise unreachable(url, error) from None
    finally:
        connection.close()
    if answer.status != 200 or len(pem) > MAX_CA:
        raise Unavailable("unreachable", f"{origin_of(url)} gave no CA certificate", "check the relay's address")
    if fingerprint_of(pem) != fingerprint:
        raise Refused("fingerprint", f"the CA of {origin_of(url)} does not have the fingerprint that you gave",
                      "compare it with `stillvault-relay fingerprint` on the relay; if they differ, someone is in between")
    return pem


def unreachable(url: str, error: Exception) -> StillvaultError:
    """The error for a connection that failed, by its cause."""
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in OUT_OF_DATE:
        return Refused("tls", f"the certificate of {origin_of(url)} is out of date by this machine's clock",
                       "set the clock (NTP); if it is right, the relay must renew its certificate: restart it")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refused("tls", f"the certificate of {origin_of(url)} is not one of the pinned CA",
                       "if the relay got a new CA, pin it again by joining anew; otherwise someone is in between")
    if isinstance(error, TimeoutError):
        return Unavailable("timeout", f"{origin_of(url)} did not answer in time", "try again; check that the relay runs")
    return Unavailable("unreachable", f"{origin_of(url)} cannot be reached", "check that the relay runs and the network is up")


class Relay:
    """One relay, reached over TLS that only the pinned CA can vouch for."""

    def __init__(self, url: str, ca_pem: bytes, *, timeout: float = 30) -> None:
        self.url = url
        self.origin = origin_of(url)
        self._host, self._port = split_url(url)
        self._timeout = timeout
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # The pin may be an intermediate or the relay's own certificate: the chain may end at it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cadata=ca_pem.decode("ascii"))
        except (ValueError, ssl.SSLError):
            raise Refused("tls", "the pinned CA is not a certificate", "join the organisation anew") from None
        self._context = context
        self._connection: http.client.HTTPSConnection | None = None

    def __del__(self) -> None:
        """Whoever lets a relay go lets its connection go."""
        if hasattr(self, "_connection"):
            self.close()

    def call(self, method: str, path: str, body: Message | None = None, *, returns: type[T], token: str = "") -> T:
        """Sends one message and returns the answer as `returns`; raises `Unavailable`, `RateLimited` or `Refused`."""
        raw = self.fetch(method, path, None if body is None else msgspec.json.encode(body), token=token)
        try:
            return msgspec.json.decode(raw, type=returns)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unavailable("bad-answer", f"{self.origin} gave an answer that is not of the form it must have",
                              "check that relay and client are of one version") from None

    def fetch(self, method: str, path: str, body: bytes | None = None, *, token: str = "") -> bytes:
        """As `call`, with the raw bytes of body and answer."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token:
            if not token.isascii() or not token.isprintable() or " " in token:
                raise Unavailable("bad-answer", "a bearer of an unknown form", "sign in or join anew")
            headers["Authorization"] = f"Bearer {token}"
        try:
            try:
                return self._exchange(method, path, body, headers)
            except (ConnectionError, http.client.RemoteDisconnected) as error:
                # A kept connection that died is no news about the relay. Only a GET may be said twice.
                if method != "GET" or isinstance(error, ConnectionRefusedError):
                    raise
                self.close()
                return self._exchange(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise unreachable(self.url, error) from None

    def get(self, path: str) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers (names in lower case) and body, whatever they are: for who compares them."""
        try:
            connection = self._connected()
            connection.request("GET", path, headers={"Accept": "*/*"})
            answer = connection.getresponse()
            raw = answer.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise unreachable(self.url, error) from None
        if answer.will_close or len(raw) > MAX_ANSWER:
            self.close()
        return answer.status, [(name.lower(), value) for name, value in answer.getheaders()], raw

    def stream(self, path: str, *, token: str, last_id: int) -> Iterator[Event]:
        """Server-sent events after `last_id`, until the relay ends the stream. Raises `Unavailable` when it falls silent."""
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=STREAM_SILENCE, context=self._context)
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}", "Last-Event-ID": str(last_id)}
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise self._refusal(answer, answer.read(MAX_EVENT))
            while line := answer.readline(MAX_EVENT):
                if not line.startswith(b"data:"):
                    continue  # `id` and `event` repeat what the data says; comments are heartbeats
                try:
                    yield msgspec.json.decode(line[5:].strip(), type=Event)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    raise Unavailable("bad-answer", f"{self.origin} sent an event of an unknown form") from None
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self.url, error) from None
        finally:
            connection.close()

    def clock(self) -> int | None:
        """The relay's clock, unix seconds, from the Date of an answer; None where it sends none."""
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)
        try:
            connection.request("GET", "/livez")
            found = connection.getresponse().getheader("Date")
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self.url, error) from None
        finally:
            connection.close()
        try:
            return None if found is None else int(parsedate_to_datetime(found).timestamp())
        except ValueError:
            return None

    def name_the_clock(self, error: StillvaultError, now: int) -> None:
        """Where a check or a sign-in failed and the clocks differ, the remedy says so: it is the likely reason (A25)."""
        try:
            theirs = self.clock()
        except StillvaultError:
            return
        if theirs is not None and abs(apart := now - theirs) > SKEW:
            word = "ahead of" if apart > 0 else "behind"
            error.remedy = f"this clock is {abs(apart)} seconds {word} the relay's: set both (NTP), then try again"

    def close(self) -> None:
        """Ends the kept connection. The object can be used again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        connection = self._connected()
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        raw = answer.read(MAX_ANSWER + 1)
        if len(raw) > MAX_ANSWER:
            self.close()
            raise Unavailable("bad-answer", f"{self.origin} gave an answer that is too long")
        if answer.will_close:
            self.close()
        if not 200 <= answer.status < 300:
            raise self._refusal(answer, raw)
        return raw

    def _connected(self) -> http.client.HTTPSConnection:
        connection = self._connection
        if connection is not None and (connection.sock is None or _ended(connection.sock)):
            self.close()
            connection = None
        if connection is None:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._context)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection = connection
        return connection

    def _refusal(self, answer: http.client.HTTPResponse, raw: bytes) -> StillvaultError:
        if 300 <= answer.status < 400:
            return RelayRefused(answer.status, "redirect", f"{self.origin} answered with a redirect, which is never followed",
                                "check the relay's address")
        try:
            problem = msgspec.json.decode(raw, type=Problem)
            code, detail, remedy, field = problem.code, problem.detail, problem.remedy, problem.field
        except (msgspec.DecodeError, UnicodeDecodeError):
            code, detail, remedy, field = f"http-{answer.status}", f"HTTP status {answer.status}", "", ""
        if not CODE.fullmatch(code):
            code = f"http-{answer.status}"
        message = f"the relay refused: {detail}"
        if answer.status == 429:
            return RateLimited(code, message, remedy or "wait, then try again", field)
        return RelayRefused(answer.status, code, message, remedy, field)


def _ended(sock: socket.socket) -> bool:
    """Whether the peer has closed a kept connection: nothing is owed to us, so anything readable is its end."""
    readable, _, _ = select.select([sock], [], [], 0)
    return bool(readable)
