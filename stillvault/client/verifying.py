"""What the relay hands over, verified: releases opened, denials held against their signatures, the newest secret of a path.

Runs in worker threads, for it may ask the relay for a newer roster and waits for the disk.
"""

from __future__ import annotations

import contextlib
import time

import msgspec
from msgspec import UNSET

from stillvault.client import flow
from stillvault.client.link import Link
from stillvault.client.pending import Pending
from stillvault.client.standing import Standing
from stillvault.client.versions import VersionMemory
from stillvault.crypto.private import Opened, open_releases
from stillvault.crypto.public import Secret, Trust, b64decode, oid_of, verify_denial
from stillvault.protocol.errors import Denied, Refused, StillvaultError, Unavailable
from stillvault.protocol.messages import RequestState
from stillvault.protocol.objects import Decision

NO_OID = bytes(32)


class Verifying:
    """By the trust that stands, and once more by the newest where that refuses. Never by an older one."""

    def __init__(self, standing: Standing, versions: VersionMemory) -> None:
        self._standing = standing
        self._versions = versions

    def opened(self, link: Link, pending: Pending, state: RequestState) -> Opened:
        """Everything that section 8 asks, by the core; the version is on disk before anyone has the value."""
        trust = self._standing.require()
        try:
            opened = open_state(trust, pending, state, self._versions.highest(pending.path))
        except Refused:
            # The people may have seen a newer roster than we: once more with the newest. Never with an older one.
            newer = link.refresh()
            if newer.pair <= trust.pair:
                raise
            opened = open_state(newer, pending, state, self._versions.highest(pending.path))
        self._versions.remember(pending.path, opened.secret.version)
        return opened

    def denied(self, link: Link, pending: Pending, state: RequestState) -> StillvaultError:
        """The denial if enough people signed it, else what the relay's bare word is worth."""
        trust = self._standing.require()
        reason: StillvaultError = Unavailable("unsigned-denial", "the relay says that the request was denied, but shows nobody's "
                                              "signature for that", "try again, or ask an approver")
        for attempt in (0, 1):
            verdicts, note = [], ""
            for raw in state.decisions:
                try:
                    decision = verify_denial(trust, pending.signed, None, bytes(raw), int(time.time()))
                except Refused as refused:
                    reason = Unavailable(refused.code, "the relay shows a denial that does not verify", "try again")
                    continue
                verdicts.append((decision.verdict, decision.person))
                shown = msgspec.json.decode(decision.payload, type=Decision).note
                note = note or (f": {shown}" if shown is not UNSET else "")
            if flow.denied(verdicts, pending.policy):
                people = ", ".join(sorted({person for _, person in verdicts}))
                verb = "froze" if any(kind == "freeze" for kind, _ in verdicts) else "denied"
                return Denied("denied", f"{people} {verb} {pending.path}{note}", "talk to them before you ask again")
            if attempt == 0:
                trust = link.refresh()
        return reason

    def latest(self, link: Link, path: str) -> Secret:
        """The newest secret of a path, verified, and never an older one than before."""
        lowest = [mark] if (mark := self._versions.highest(path)) is not None else []
        secret = self._standing.require().verify_secret(link.latest(path), path, lowest, int(time.time()))
        self._versions.remember(path, secret.version)
        return secret


def open_state(trust: Trust, pending: Pending, state: RequestState, remembered: tuple[int, int] | None) -> Opened:
    """Opens the releases of an approved request. Raises `Refused` with the check that failed."""
    if state.secret is UNSET or not state.ciphertext:
        raise Refused("release", "the relay says that the request was approved, but shows no release", "ask again")
    return open_releases(trust, pending.signed, pending.ephemeral, bytes(state.secret), b64decode(state.ciphertext),
                         [bytes(one) for one in state.releases], remembered, int(time.time()))


def secret_oid(state: RequestState) -> bytes:
    """The oid of the secret that the relay handed out, for a receipt that says that it was refused."""
    with contextlib.suppress(Refused):
        if state.secret is not UNSET:
            return oid_of(bytes(state.secret))
    return NO_OID
