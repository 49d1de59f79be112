"""Every setting of the relay: what it means, where it comes from, and what is refused.

    flags > STILLVAULT_RELAY_* > DIR/config.toml > the defaults below

`STILLVAULT_RELAY_LIMITS_PROMPTS_PER_HOUR` is `limits.prompts_per_hour`. Any variable may end in `_FILE` and then names a file
that holds the value; use that for secrets. An unknown name, anywhere, is an error that says what was meant. A bad
setting ends the program with 78 (EX_CONFIG) and names the file, the line, the rule and the fix. docs/configuration.md lists
all of it, and a test holds the two equal.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields

from stillvault.relay.forwarded import networks
from stillvault.relay.places import allowed_host, place

PREFIX = "STILLVAULT_RELAY_"
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


def load(flags: Mapping[str, str], environment: Mapping[str, str] | None = None) -> Settings:
    """The settings that count. `flags` hold only what was given.

    Raises:
        BadSetting: unknown name, wrong type, out of range, unreadable file.
    """
    given: dict[str, tuple[str, Any]] = {}
    environ = os.environ if environment is None else environment
    from_environment = _environment(environ)
    where, data = _pick("data", flags, from_environment)
    if not data:
        raise BadSetting("command line", "data", "the data directory is not given", "Add --data DIR.")
    given["data"] = where, data
    file = _toml(Path(data) / "config.toml")
    _built({**given, **file})  # also what a flag will override must be of the right form
    given.update(file)
    given.update(from_environment)
    given.update({name: (f"--{name.replace('_', '-')}", value) for name, value in flags.items()})
    profile = given.get("profile", ("", "standard"))[1]
    if profile == "laboratory":
        given = {**{f"limits.{name}": ("profile laboratory", value) for name, value in LABORATORY.items()}, **given}
    try:
        return _checked(_built(given))
    except BadSetting as error:
        if error.where != "settings" or error.field not in given:
            raise
        raise BadSetting(given[error.field][0], error.field, error.rule, error.fix) from None


def shown(settings: Settings) -> dict[str, Any]:
    """The effective settings for people, a dict for each group, secrets hidden."""
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    for name in SECRET:
        group, _, inner = name.rpartition(".")
        place = plain[group] if group else plain
        place[inner] = "(hidden)" if place[inner] else ""
    return plain


def _pick(name: str, flags: Mapping[str, str], environment: Mapping[str, tuple[str, Any]]) -> tuple[str, Any]:
    if name in flags:
        return f"--{name}", flags[name]
    return environment.get(name, ("", ""))


def _unknown(where: str, name: str, known: list[str], shown_as: str) -> BadSetting:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    fix = f"Did you mean {close[0]}?" if close else "See docs/configuration.md for all settings."
    return BadSetting(where, shown_as, "there is no such setting", fix)


def _environment(environ: Mapping[str, str]) -> dict[str, tuple[str, Any]]:
    known = {PREFIX + name.upper().replace(".", "_"): name for name in names()}
    found: dict[str, tuple[str, Any]] = {}
    for variable in sorted(key for key in environ if key.startswith(PREFIX)):
        plain = variable.removesuffix("_FILE")
        if variable in known:
            name, value = known[variable], environ[variable]
        elif plain in known:
            name, value = known[plain], _from_file(variable, environ[variable])
        else:
            raise _unknown("environment", variable, sorted(known), variable)
        if name in found:
            raise BadSetting("environment", variable, "the setting is given twice", f"Unset {plain} or {plain}_FILE.")
        found[name] = f"environment {variable}", value
    return found


def _from_file(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"environment {variable}", path, "the file cannot be read", "Check its name and mode.") from error


def _toml(path: Path) -> dict[str, tuple[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}  # what is wrong with the directory is said when it is opened
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(str(path), "file", "it cannot be read as UTF-8", "Check its owner, mode and encoding.") from error
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(str(path), "file", f"it is not TOML: {error}", "Mend that line.") from error
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if name in GROUPS and isinstance(value, dict):
            flat.update({f"{name}.{inner}": one for inner, one in value.items()})
        else:
            flat[name] = value
    known = [name for name in names() if name != "data"]
    found: dict[str, tuple[str, Any]] = {}
    for name, value in flat.items():
        where = f"{path} line {_line(text, name)}"
        if name not in known:
            raise _unknown(where, name, known, name)
        found[name] = where, value
    return found


def _line(text: str, name: str) -> int:
    pattern = re.compile(rf"^\s*{re.escape(name.rpartition('.')[2])}\s*=")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def _built(given: Mapping[str, tuple[str, Any]]) -> Settings:
    built: dict[str, dict[str, Any]] = {"": {}, **{group: {} for group in GROUPS}}
    for name, (where, value) in given.items():
        group, _, inner = name.rpartition(".")
        struct: type[Struct] = GROUPS[group] if group else Settings
        declared = next(field for field in fields(struct) if field.name == inner)
        # Text from flags and variables may stand for a number or a list; TOML has types of its own, and they must fit.
        from_text = isinstance(value, str) and ("environment" in where or where.startswith("--"))
        if from_text and isinstance(declared.default, tuple):
            value, from_text = value.replace(",", " ").split(), False
        try:
            converted = msgspec.convert(value, declared.type, strict=not from_text)
        except msgspec.ValidationError as error:
            raise BadSetting(where, name, str(error), "See docs/configuration.md for its range.") from error
        if from_text and isinstance(converted, int) and str(converted) != value:
            raise BadSetting(where, name, "it is not a plain number", "Write digits alone.")
        built[group][inner] = converted
    groups: dict[str, Any] = {group: struct(**built[group]) for group, struct in GROUPS.items()}
    return Settings(**built[""], **groups)


_EXAMPLE = {"listen": "127.0.0.1:8443", "metrics": "127.0.0.1:9464, or off"}


def _split_listen(name: str, listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise BadSetting("settings", name, "it is not HOST:PORT", f"Write for example {_EXAMPLE[name]}.")
    return host, int(port)


MAIL_ADDRESS = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PUBLIC_URL = re.compile(rf"https://({_LABEL}(?:\.{_LABEL})*)(?::([1-9][0-9]{{0,4}}))?")
_ADDRESS = re.compile(r"https://(\[.*|(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)(:[0-9]*)?/?$)")  # as browsers tell an address from a name


def public_host(url: str) -> tuple[str, int]:
    """Host and port of a public URL. A name in lower case, no path: it becomes the origin that devices sign for."""
    if _ADDRESS.match(url):
        rule = "it is an IP address; passkeys work for DNS names alone, and devices sign for this name for good"
        fix = "Give the relay a name that all devices resolve, for example https://vault.corp.internal:8443."
        raise BadSetting("settings", "public_url", rule, fix)
    match = _PUBLIC_URL.fullmatch(url)
    if not match or len(match[1]) > 253 or int(match[2] or 443) > 65535:
        raise BadSetting(
            "settings", "public_url", "it is not https://name[:port]", "Write for example https://vault.example.org."
        )
    return match[1], int(match[2] or 443)


def _checked(settings: Settings) -> Settings:
    """The rules that concern more than one setting."""
    _ = settings.address, settings.metrics_address
    if settings.public_url:
        public_host(settings.public_url)
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise BadSetting("settings", "tls_cert", "a certificate and its key come together", "Give both tls_cert and tls_key.")
    if settings.setup_token and not re.fullmatch(r"[A-Za-z0-9_-]{32,128}", settings.setup_token):
        raise BadSetting(
            "settings", "setup_token", "it is not 32 to 128 characters of base64url", "Make one from 32 random bytes."
        )
    _check_proxies(settings)
    _check_notify(settings.notify)
    _check_forward(settings.forward)
    _check_backup(settings.backup)
    return settings


def _check_proxies(settings: Settings) -> None:
    try:
        networks(settings.trusted_proxies)
    except ValueError as error:
        raise BadSetting("settings", "trusted_proxies", f"{error}", 'Write for example ["10.0.0.7", "fd00::/64"].') from None


def _check_egress(name: str, egress: tuple[str, ...]) -> None:
    for one in egress:
        try:
            allowed_host(one)
        except ValueError as error:
            raise BadSetting("settings", name, f"{error}", 'Write for example ["ntfy.corp.example"].') from None


def _check_notify(notify: Notify) -> None:
    _check_egress("notify.egress", notify.egress)
    if not notify.smtp_server:
        return
    try:
        server = allowed_host(notify.smtp_server)
    except ValueError as error:
        raise BadSetting("settings", "notify.smtp_server", f"{error}", "Write for example mail.corp.example:587.") from None
    if server not in [allowed_host(one) for one in notify.egress]:
        raise BadSetting("settings", "notify.smtp_server", "notify.egress does not list it", f"Add {notify.smtp_server} there.")
    if not MAIL_ADDRESS.fullmatch(notify.smtp_from):
        raise BadSetting("settings", "notify.smtp_from", "it is not a mail address", "Write for example vault@corp.example.")
    if notify.smtp_user and notify.smtp_tls == "none":
        rule = "a password would cross the network in the clear"
        raise BadSetting("settings", "notify.smtp_tls", rule, "Use starttls or tls, or no smtp_user.")


def _check_forward(forward: Forward) -> None:
    _check_egress("forward.egress", forward.egress)
    listed = {allowed_host(one) for one in forward.egress}
    for name, value in (("syslog", forward.syslog), ("webhook", forward.webhook), ("traces", forward.traces)):
        if not value:
            continue
        try:
            where = allowed_host(value) if name == "syslog" else place(value)
        except ValueError as error:
            example = "siem.corp.example:6514" if name == "syslog" else "https://siem.corp.example/stillvault"
            raise BadSetting("settings", f"forward.{name}", f"{error}", f"Write for example {example}.") from None
        if (where.clear, where.host, where.port) not in listed:
            host = f"{'http://' if where.clear else ''}{where.host}:{where.port}"
            raise BadSetting("settings", f"forward.{name}", "forward.egress does not list it", f"Add {host} there.")
    if forward.syslog.startswith(("http://", "*")):
        raise BadSetting("settings", "forward.syslog", "it is a host and a port, always with TLS", "Write host:port.")
    if bool(forward.syslog_cert) != bool(forward.syslog_key):
        rule = "a certificate and its key come together"
        raise BadSetting("settings", "forward.syslog_cert", rule, "Give both syslog_cert and syslog_key.")
    if forward.webhook and not 32 <= len(forward.webhook_secret) <= 256:
        rule = "it is not 32 to 256 characters long"
        raise BadSetting("settings", "forward.webhook_secret", rule, "Make one from 32 random bytes, for both ends.")


_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")


def _check_backup(backup: Backup) -> None:
    for one in backup.recipients:
        if not _RECIPIENT.fullmatch(one):
            fix = "Take the public key that `age-keygen` printed: age1 and 58 letters and digits."
            raise BadSetting("settings", "backup.recipients", "an entry is not an age recipient", fix)
