"""The wire: every body that the relay takes or gives, and nothing else.

A signed object travels as the exact bytes of its canonical wrapper (`msgspec.Raw`): whoever receives it hands those bytes to
the core, which verifies first and parses after. Unknown fields are refused. Times are unix seconds. Byte strings are
base64url without padding. Oids are base64url of 32 bytes.

A file a room; whoever sends or takes a body names it as `messages.Body`.
"""

from __future__ import annotations

from stillvault.protocol.messages.base import Health, Message, Nothing, Problem
from stillvault.protocol.messages.clients import Client, Clients, Freeze, Freezes, Lift, Lifted, NewClient
from stillvault.protocol.messages.enrolment import (
    Challenge,
    Enrol,
    Enrolled,
    EnrolState,
    Invite,
    Invites,
    InviteTerms,
    NewInvite,
    Proof,
    WrappedKey,
    WrappedKeys,
)
from stillvault.protocol.messages.events import Event, Events
from stillvault.protocol.messages.log import Checkpoint, Consistency, Leaves
from stillvault.protocol.messages.requests import (
    Decide,
    Decided,
    EndLeases,
    Lease,
    Leases,
    NewRequests,
    Prompt,
    Prompts,
    RequestState,
    RequestStates,
    SignedList,
)
from stillvault.protocol.messages.secrets import LatestSecret, NewSecret, Secrets, Stored
from stillvault.protocol.messages.sessions import (
    Credential,
    Ended,
    EndSessions,
    Environment,
    Login,
    Nonce,
    OneSession,
    Passkey,
    Session,
    Sessions,
    Whoami,
)
from stillvault.protocol.messages.targets import NewTarget, Target, TargetId, TargetKind, Targets, TargetTried
from stillvault.protocol.messages.trust import LogKey, Organisation, Publish, Setup, Trust

__all__ = [
    "Challenge", "Checkpoint", "Client", "Clients", "Consistency", "Credential", "Decide", "Decided", "EndLeases",
    "EndSessions", "Ended", "Enrol", "EnrolState", "Enrolled", "Environment", "Event", "Events", "Freeze", "Freezes",
    "Health", "Invite", "InviteTerms", "Invites", "LatestSecret", "Lease", "Leases", "Leaves", "Lift", "Lifted", "LogKey",
    "Login", "Message", "NewClient", "NewInvite", "NewRequests", "NewSecret", "NewTarget", "Nonce", "Nothing", "OneSession",
    "Organisation", "Passkey", "Problem", "Prompt", "Prompts", "Proof", "Publish", "RequestState", "RequestStates", "Secrets",
    "Session", "Sessions", "Setup", "SignedList", "Stored", "Target", "TargetId", "TargetKind", "TargetTried", "Targets",
    "Trust", "Whoami", "WrappedKey", "WrappedKeys",
]
