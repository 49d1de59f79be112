"""Break-glass: opening a file of sealed secrets with recovery keys, without a relay, a home or a network. Protocol 11.

The file is verified under the pin that the paper names, and every check that a client makes of a sealed secret is made by the
core. What nobody offline can know is whether there was a newer version than the file's: so the results say when each was sealed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import UNSET

from stillvault.approver.recoverykeys import RecoveryKey, why_unknown
from stillvault.crypto.private import Value, open_recovered
from stillvault.crypto.public import Trust, b64decode, b64encode, payload_of
from stillvault.protocol.errors import Refused, Usage
from stillvault.protocol.objects import Core, Root, Roster, Secret
from stillvault.protocol.sealedfile import LINE_LIMIT, End, Head, Sealed

T = TypeVar("T", Root, Roster)


@dataclass(frozen=True)
class Recovered:
    """A value, and what its sealer signed about it."""

    value: Value
    core: Core


class SealedFile:
    """A file that `stillvault-relay sealed` wrote, verified under a pin."""

    def __init__(self, path: Path, pin: bytes, now: int, *, expired: bool = False) -> None:
        """Looks through the whole file, and verifies root chain and roster.

        `expired`: a roster or root whose time is over counts as on its last second; an old file has no newer one.

        Raises:
            Usage: `sealed-file`: not such a file, cut short, or a path in it twice.
            Refused: `pin` for another organisation; a code of root chain or roster; `expired`.
        """
        self.path = path
        self.named: set[str] = set()  # public halves of the recovery keys of what was looked at
        self.count = self._look_through()
        head = self._head()
        self.created = head.created
        roots, roster = [bytes(one) for one in head.roots], bytes(head.roster)
        self.now = min(now, _last_second(roots, roster)) if expired else now
        try:
            self.trust = Trust.verify(pin, roots, roster, self.now)
        except Refused as error:
            raise _explained(error) from None

    def secrets(self) -> Iterator[Sealed]:
        """The seals in it, unverified."""
        return (line for line in self._lines() if isinstance(line, Sealed))

    def open(self, sealed: Sealed, keys: list[RecoveryKey], *, own: bool = False) -> Recovered:
        """Opens one, with all of the keys, or with its `own` where policies differ in theirs. Raises `Refused` by the check that
        failed."""
        secret = bytes(sealed.secret)
        verified = self.trust.verify_secret(secret, sealed.path, [], self.now, reseal=True)
        core = msgspec.json.decode(verified.payload, type=Secret).core
        named = set() if core.policy.recovery is UNSET else {one.kem.public for one in core.policy.recovery.keys}
        self.named |= named
        strangers = [one for one in keys if b64encode(one.key.public) not in named]
        if strangers and named and not own:
            raise Refused("not-recipient", why_unknown(strangers[0], named))
        given = [one.key for one in keys if one not in strangers]
        return Recovered(open_recovered(self.trust, sealed.path, secret, b64decode(sealed.ciphertext), given, self.now), core)

    def unknown(self, keys: list[RecoveryKey]) -> list[str]:
        """Why some of the keys are none of what was looked at."""
        return [why_unknown(one, self.named) for one in keys if b64encode(one.key.public) not in self.named]

    def _head(self) -> Head:
        head = next(self._lines(), None)
        if not isinstance(head, Head) or head.v != 1 or not head.roots:
            raise self._refused("it does not begin as one of this version")
        return head

    def _look_through(self) -> int:
        """How many secrets. A head, paths that ascend, and an end that counts them."""
        self._head()
        before, count, ended = "", 0, False
        for number, line in enumerate(self._lines()):
            if ended or isinstance(line, Head) != (number == 0):
                raise self._refused(f"line {number + 1} is out of place")
            if isinstance(line, Sealed):
                if line.path <= before:
                    raise self._refused("its paths do not ascend")
                before, count = line.path, count + 1
            elif isinstance(line, End):
                ended = line.secrets == count
        if not ended:
            raise self._refused("it is cut short")
        return count

    def _lines(self) -> Iterator[Head | Sealed | End]:
        decoder = msgspec.json.Decoder(Head | Sealed | End)
        try:
            with open(self.path, "rb") as file:
                while line := file.readline(LINE_LIMIT + 1):
                    if len(line) > LINE_LIMIT:
                        raise self._refused("a line is too long")
                    yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._refused("a line is none of such a file") from None
        except OSError as error:
            raise Usage("sealed-file", f"{self.path} cannot be read: {error.strerror}", "name a readable file",
                        "--from") from None

    def _refused(self, why: str) -> Usage:
        return Usage("sealed-file", f"{self.path} is no file of sealed secrets: {why}",
                     "write it anew with: stillvault-relay sealed FILE --data DIR (or --backup BACKUP)", "--from")


def _last_second(roots: list[bytes], roster: bytes) -> int:
    """Unverified: it only chooses the second that the verification is told."""
    return min(_peek("root", roots[-1], Root).expires, _peek("roster", roster, Roster).expires) - 1


def _peek(name: str, signed: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(payload_of(name, signed), type=kind)
    except msgspec.MsgspecError:
        raise Refused("field", f"the {name} in it is not of the form it must have") from None


def _explained(error: Refused) -> Refused:
    remedies = {
        "expired": "take a newer backup; or add --expired, and know that newer versions may have been sealed since",
        "pin": "the sheets and the file are of different organisations",
    }
    return Refused(error.code, error.message, remedies.get(error.code, ""))
