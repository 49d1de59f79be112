"""The log as people read it: a line a row, except that an approval that completes its quorum and the release that it causes
are one line. Pure: rows in, lines out; no control character survives.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from stillvault.approver.screen import span
from stillvault.protocol.text import plain

Row = dict[str, Any]
SHOWN = ("index", "time", "kind", "actor", "secret", "oid", "request", "chain", "v")


class Teller:
    """Turns rows, in order, into lines. Remembers what the rows of one request have in common."""

    def __init__(self) -> None:
        self._needed: dict[str, str] = {}
        self._complete: Row | None = None

    def tell(self, row: Row) -> Iterator[str]:
        """The lines that this row completes."""
        approved, self._complete = self._complete, None
        if row["kind"] == "released" and approved is not None and approved.get("request") == row.get("request"):
            lease = span(row["window"]) if row.get("window") else "none"
            yield _line(row, f"{row.get('actor', '')} approved {row.get('secret', '')}: released, lease {lease}")
            return
        if approved is not None:
            yield _line(approved, self._sentence(approved))
        if row["kind"] == "requested":
            self._needed[row.get("request", "")] = str(row.get("people", "")).rpartition("/")[2]
        if row["kind"] == "approved" and _is_complete(row):
            self._complete = row  # its release comes next
            return
        yield _line(row, self._sentence(row))

    def rest(self) -> Iterator[str]:
        """What still waited for a row after it."""
        approved, self._complete = self._complete, None
        if approved is not None:
            yield _line(approved, self._sentence(approved))

    def _sentence(self, row: Row) -> str:
        kind, actor, secret = row["kind"], str(row.get("actor", "")), str(row.get("secret", ""))
        match kind:
            case "requested":
                where = f" on {row['host']}" if row.get("host") else ""
                return f"{actor}{where} requested {secret} uid={row.get('uid', '?')} exe={row.get('exe', '?')}"
            case "prompted":
                said = "" if row.get("outcome", "sent") == "sent" else f": {row['outcome']}"
                whom = f"{actor} {row.get('device', '')}".strip()
                return f"prompted {whom} ({row.get('channel', '?')}) {self._quorum(row)}{said}"
            case "approved":
                return f"{actor} approved {secret}: {row.get('people', '')}" + _copied(row)
            case "released":
                return f"{secret} released to {row.get('host', actor)}, lease {span(row.get('window', 0))}"
            case "sealed":
                revision = str(row.get("outcome", "")).removeprefix("revision ") or "0"
                return f"{actor} sealed {secret} version {row.get('version', '?')}.{revision}"
            case "roster":
                root = str(row.get("outcome", "")).removeprefix("root ") or "?"
                return f"{actor} roster {root}.{row.get('version', '?')}"
            case "enrolled":
                return f"{row.get('people', actor)} {row.get('outcome', 'enrolled')}" + (
                    f" by {actor}" if actor != row.get("people") else "")
            case "signed-in":
                return f"{actor} signed in from {row.get('device') or row.get('host', '?')}" + _copied(row)
            case "delivered" | "failed":
                return f"{secret} {kind} to {row.get('exe', '?')} on {row.get('host', '?')}" + _because(row)
            case "signed-out":
                return f"{actor} signed out of {row.get('count', '?')} sessions"
            case "lease-ended" if not secret:
                return f"{actor} ended every lease"
            case "denied" | "frozen":
                return f"{actor} {'denied' if kind == 'denied' else 'froze'} {secret}" + _because(row)
            case "lease-used":
                whom = f"{row.get('exe', actor)} on {row.get('host', '?')}"
                return f"{whom} used {secret} from its lease, {row.get('count', 1)} times"
            case "policy":
                lease = f": {row['people']}, lease {span(row.get('window', 0))}" if row.get("people") else ""
                return f"{actor} policy {row.get('outcome', '')}{lease}"
            case "cancelled" | "revoked" if not secret:
                return f"{actor} {kind} {row.get('device', '')}" + _because(row)
            case "lease-ended" | "expired" | "cancelled" | "revoked":
                return f"{secret} {kind.replace('-', ' ')}" + _because(row)
            case "suppressed":
                return f"{row.get('count', '?')} prompts of {actor} suppressed" + _because(row)
        rest = " ".join(f"{name}={value}" for name, value in row.items() if name not in SHOWN)
        return " ".join(part for part in (actor, kind, secret, rest) if part)

    def _quorum(self, row: Row) -> str:
        """`1 of any-of-2`, `1 of 2-of-3`: which prompt this is, and who of how many must answer."""
        first, _, asked = str(row.get("people", "")).partition(" of ")
        needed = self._needed.get(row.get("request", ""), "")
        if not needed or not asked.isdigit():
            return str(row.get("people", ""))
        return f"{first} of {'any' if needed == '1' else needed}-of-{asked}"


def _is_complete(row: Row) -> bool:
    have, slash, needed = str(row.get("people", "")).partition("/")
    return bool(slash) and have == needed and not _copied(row)


def _copied(row: Row) -> str:
    back = row.get("outcome") == "counter-back"
    return "; the counter of its passkey went back: it may have been copied" if back else ""


def _because(row: Row) -> str:
    return f": {row['outcome']}" if row.get("outcome") else ""


def _line(row: Row, sentence: str) -> str:
    return f"{time.strftime('%H:%M:%S', time.gmtime(row.get('time', 0)))} {plain(sentence).rstrip()}"
