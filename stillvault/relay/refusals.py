"""Which settings are refused, beyond their types and ranges: names, places, and what goes together."""

from __future__ import annotations

import re

from stillvault.relay.forwarded import networks
from stillvault.relay.places import allowed_host, place
from stillvault.relay.settings import Backup, BadSetting, Forward, Notify, Settings

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


def checked(settings: Settings) -> Settings:
    """The settings, where all rules hold that their types do not say. Raises `BadSetting`."""
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
