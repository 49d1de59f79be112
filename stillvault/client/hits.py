"""What a caller's question comes down to: who asks for it, by which policy, and which lease serves it already."""

from __future__ import annotations

from msgspec import UNSET

from stillvault.client import flow
from stillvault.client.flow import Client
from stillvault.client.frames import Question
from stillvault.client.leasebook import LeaseBook
from stillvault.client.peer import Identity
from stillvault.client.pending import Pending
from stillvault.client.requester import Requester
from stillvault.client.standing import Standing
from stillvault.crypto.leases import is_interpreter
from stillvault.protocol.errors import Forbidden
from stillvault.protocol.objects import Policy

Hit = tuple[int, tuple[str, bytes]]  # a lease's number, and the scope and scope id that it was found under
Found = Hit | Pending


class Hits:
    """Looks; counts and changes nothing."""

    def __init__(self, standing: Standing, requester: Requester, book: LeaseBook) -> None:
        self._standing = standing
        self._requester = requester
        self._book = book

    def find(self, path: str, call: Question, identity: Identity) -> Hit | None:
        """The live lease that serves this caller, if there is one."""
        client, policy = self.route(path, call, identity)
        scope = self.scope(identity, policy.scope)
        number = self._book.find(client, path, scope)
        return None if number is None else (number, scope)

    def route(self, path: str, call: Question, identity: Identity | None) -> tuple[Client, Policy]:
        """Who asks for the caller, and the policy of the path."""
        agent = identity.agent.client if identity is not None and identity.agent is not None else ""
        try:
            return self._standing.route(path, "" if call.client is UNSET else call.client, agent)
        except Forbidden:
            # Without a newer roster than that, what keeps us from one is the reason to be told.
            if (reason := self._requester.turned_away()) is not None:
                raise reason from None
            raise

    def scope(self, identity: Identity, scope: str) -> tuple[str, bytes]:
        """What a lease of that scope is bound to, for this caller."""
        return flow.lease_key(identity, scope, interpreter=is_interpreter(identity.exe.path))
