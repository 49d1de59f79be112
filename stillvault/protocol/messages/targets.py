"""Notification targets."""

from __future__ import annotations

from typing import Literal

from stillvault.protocol.messages.base import Message

TargetKind = Literal["browser", "webpush", "ntfy", "gotify", "webhook", "smtp"]


class NewTarget(Message):
    """POST /v1/targets. Which fields a kind takes: docs/guides/notifications.md. `name` is an id, one of a kind for a person."""

    kind: TargetKind
    name: str
    url: str = ""  # ntfy, gotify: the server; webhook: where to post; webpush: the subscription's endpoint
    topic: str = ""  # ntfy
    token: str = ""  # ntfy, if its topic needs one; gotify: of an application
    secret: str = ""  # webhook: the key of its signature
    address: str = ""  # smtp
    p256dh: str = ""  # webpush: the subscription's keys
    auth: str = ""


class Target(Message):
    """One target, without what it takes to reach it. `last` is `sent`, or why not; empty before the first message."""

    id: str
    kind: TargetKind
    name: str
    device: str  # that made it
    where: str  # what its owner knows it by; of a webhook and a push host the origin alone
    created: int
    last: str = ""
    last_at: int = 0


class Targets(Message):
    """GET /v1/targets: the caller's own, and what the operator's settings allow."""

    targets: list[Target]
    kinds: list[TargetKind]  # what can be added here
    hosts: list[str]  # notify.egress
    vapid: str  # the relay's key for push subscriptions: applicationServerKey


class TargetId(Message):
    """POST /v1/targets/remove, /v1/targets/test."""

    id: str


class TargetTried(Message):
    """What became of a test message. `outcome` is `sent`, `browser` (nothing is sent there), or why it failed."""

    sent: bool
    outcome: str
