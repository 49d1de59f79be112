"""Every setting of the relay, its range and its default. `configured` says where they come from, `refusals` what is refused.

A bad setting ends the program with 78 (EX_CONFIG) and names the file, the line, the rule and the fix. docs/configuration.md
lists all of it, and a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields

EX_CONFIG = 78

Count = Annotated[int, Meta(ge=1, le=10_000_000)]
Seconds = Annotated[int, Meta(ge=0, le=86_400)]


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits count cards (all requests of one command are one card) per measured identity: client, uid and executable."""

    pending_per_secret: Count = 1
    pending_per_client: Count = 3
    pending_per_approver: Count = 10
    pending_per_org: Count = 50
    prompts_per_10_minutes: Count = 5
    prompts_per_hour: Count = 20
    prompts_per_approver_hour: Count = 30
    requests_per_card: Annotated[int, Meta(ge=1, le=100)] = 100
    first_prompt_seconds: Seconds = 300
    cool_down_seconds: Seconds = 300
    cool_down_again_seconds: Seconds = 3600
    denies_to_freeze: Count = 3
    freeze_seconds: Seconds = 3600
    nonces_per_minute: Count = 600
    login_failures_per_minute: Count = 60
    open_decisions_per_minute: Count = 120
    reports_per_minute: Count = 1200
    streams_per_caller: Count = 64
    login_seconds: Annotated[int, Meta(ge=5, le=300)] = 60
    session_seconds: Annotated[int, Meta(ge=60, le=3600)] = 900
    console_session_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 28_800
    invite_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 1800
    enrolment_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 3600
    setup_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 1800
    body_bytes: Annotated[int, Meta(ge=65_536, le=16_777_216)] = 2_097_152
    header_bytes: Annotated[int, Meta(ge=4096, le=65_536)] = 32_768
    header_seconds: Annotated[int, Meta(ge=1, le=60)] = 10
    body_seconds: Annotated[int, Meta(ge=1, le=120)] = 30
    idle_seconds: Annotated[int, Meta(ge=5, le=600)] = 75
    bodies_bytes: Annotated[int, Meta(ge=1_048_576, le=4_294_967_296)] = 67_108_864
    connections: Count = 4096
    connections_per_peer: Count = 1024
    connections_per_minute: Count = 20_000
    heartbeat_seconds: Annotated[int, Meta(ge=1, le=60)] = 5
    reserve_bytes: Annotated[int, Meta(ge=0, le=1_073_741_824)] = 16_777_216


# For tests, demonstrations under load and benchmarks: nothing is held back from a person's screen. Never for people.
LABORATORY: Mapping[str, int] = {
    **dict.fromkeys(("pending_per_secret", "pending_per_client", "pending_per_approver", "pending_per_org"), 1_000_000),
    **dict.fromkeys(("prompts_per_10_minutes", "prompts_per_hour", "prompts_per_approver_hour"), 10_000_000),
    **dict.fromkeys(("first_prompt_seconds", "cool_down_seconds", "cool_down_again_seconds"), 0),
    **dict.fromkeys(("denies_to_freeze", "nonces_per_minute", "open_decisions_per_minute", "reports_per_minute"), 10_000_000),
    "streams_per_caller": 20_000,
    "connections": 20_000,
    "connections_per_peer": 20_000,
    "connections_per_minute": 10_000_000,
}


class Notify(Struct, frozen=True, forbid_unknown_fields=True):
    """Messages that leave the relay, to what people name as their notification targets. Without `egress` nothing leaves."""

    egress: tuple[str, ...] = ()
    ca: str = ""
    detail: Literal["none"] = "none"
    smtp_server: str = ""
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_from: str = ""
    smtp_user: str = ""
    smtp_password: str = ""
    timeout_seconds: Annotated[int, Meta(ge=1, le=30)] = 5
    tries: Annotated[int, Meta(ge=1, le=10)] = 5
    retry_seconds: Annotated[int, Meta(ge=1, le=600)] = 5
    every_seconds: Annotated[int, Meta(ge=0, le=3600)] = 30
    per_hour: Annotated[int, Meta(ge=1, le=1000)] = 20
    targets_per_person: Annotated[int, Meta(ge=1, le=50)] = 10
    tests_per_minute: Annotated[int, Meta(ge=1, le=60)] = 6


class Forward(Struct, frozen=True, forbid_unknown_fields=True):
    """What goes to the operator's own machines: the audit log, and traces. Only to hosts of `egress`, a list of its own, so that
    nobody's notification target can be one of them."""

    egress: tuple[str, ...] = ()
    ca: str = ""
    format: Literal["json", "ocsf", "cef"] = "json"
    syslog: str = ""
    syslog_cert: str = ""
    syslog_key: str = ""
    webhook: str = ""
    webhook_secret: str = ""
    traces: str = ""
    timeout_seconds: Annotated[int, Meta(ge=1, le=60)] = 10


class Backup(Struct, frozen=True, forbid_unknown_fields=True):
    """Backups that the relay writes by itself, and whom every backup is encrypted to."""

    every_seconds: Annotated[int, Meta(ge=0, le=2_678_400)] = 0
    keep: Annotated[int, Meta(ge=1, le=1000)] = 7
    directory: str = ""
    recipients: tuple[str, ...] = ()


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """What `stillvault-relay serve` runs with. What `SECRET` names is never shown."""

    data: str
    listen: str = "127.0.0.1:8443"
    public_url: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_anchor: str = ""
    trusted_proxies: tuple[str, ...] = ()
    proxy_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    setup_token: str = ""
    profile: Literal["standard", "laboratory"] = "standard"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics: str = "127.0.0.1:9464"
    limits: Limits = Limits()
    notify: Notify = Notify()
    forward: Forward = Forward()
    backup: Backup = Backup()

    @property
    def directory(self) -> Path:
        return Path(self.data)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on. Port 0: the system chooses."""
        return _split_listen("listen", self.listen)

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Where the metrics are served; None where `metrics` is `off`."""
        return None if self.metrics == "off" else _split_listen("metrics", self.metrics)


SECRET = frozenset({"setup_token", "notify.smtp_password", "forward.webhook_secret"})
# Settings with a dotted name.
GROUPS: Mapping[str, type[Struct]] = {"limits": Limits, "notify": Notify, "forward": Forward, "backup": Backup}


class BadSetting(Exception):
    """A setting that the relay refuses: where it stands, which rule it breaks, how to mend it. Ends the program with 78."""

    def __init__(self, where: str, field: str, rule: str, fix: str) -> None:
        super().__init__(f"{where}: {field}: {rule}. {fix}")
        self.where, self.field, self.rule, self.fix = where, field, rule, fix


def names() -> list[str]:
    """All settings by their dotted names, in the order of the classes."""
    top = [field.name for field in fields(Settings) if field.name not in GROUPS]
    return top + [f"{group}.{field.name}" for group, struct in GROUPS.items() for field in fields(struct)]


def shown(settings: Settings) -> dict[str, Any]:
    """The effective settings for people, a dict for each group, secrets hidden."""
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    for name in SECRET:
        group, _, inner = name.rpartition(".")
        place = plain[group] if group else plain
        place[inner] = "(hidden)" if place[inner] else ""
    return plain


_EXAMPLE = {"listen": "127.0.0.1:8443", "metrics": "127.0.0.1:9464, or off"}


def _split_listen(name: str, listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not listen.isascii() or not port.isdecimal() or int(port) > 65535:
        raise BadSetting("settings", name, "it is not HOST:PORT", f"Write for example {_EXAMPLE[name]}.")
    return host, int(port)
