"""Which requests a person sees and decides at once (protocol section 6).

Requests of one command carry equal `issued`, `expires`, `observed` and `claimed`; with the client, that tuple is the card.
Nothing else joins requests: a difference in any part, also between an empty reason and none, makes another card. Pure; the
requests are verified by the caller.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from stillvault.protocol.objects import Request, canonical


def key(request: Request) -> bytes:
    """The canonical bytes of the tuple that makes a card."""
    return canonical([request.client, request.issued, request.expires, request.observed, request.claimed])


def card_id(request: Request) -> str:
    """The card's name on the command line: the first 12 hexadecimal digits of the tuple's SHA-256."""
    return hashlib.sha256(key(request)).hexdigest()[:12]


def group(requests: Sequence[Request]) -> list[list[int]]:
    """Positions in `requests`, a list for each card; cards and positions in order of arrival."""
    cards: dict[bytes, list[int]] = {}
    for position, request in enumerate(requests):
        cards.setdefault(key(request), []).append(position)
    return list(cards.values())


def first_path(requests: Sequence[Request]) -> int:
    """Position of the request whose code stands for the card: the one with the least path."""
    return min(range(len(requests)), key=lambda position: requests[position].path)
