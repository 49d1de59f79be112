"""The files that settings name, as a start will find them: what `config check` and `doctor` say beforehand.

Nothing is made and nothing is kept. Each is refused with the sentence that a start would end with.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from stillvault.relay import agefile, tls
from stillvault.relay.refusals import public_host
from stillvault.relay.settings import Settings


def look(settings: Settings) -> None:
    """Everything. Raises `BadSetting`."""
    from stillvault.relay.forward import forwarder
    from stillvault.relay.notify.http import authorities

    if settings.tls_cert:
        fit(settings, name_of(settings), Path(settings.tls_cert), Path(settings.tls_key))
    elif settings.tls_anchor:
        tls.trust_anchor(Path(settings.tls_anchor))
    authorities("notify.ca", settings.notify.ca)
    forwarder.receivers(settings, settings.public_url or f"https://{name_of(settings)}")
    agefile.recipients(settings.backup.recipients)


def fit(settings: Settings, host: str, chain: Path, key: Path) -> tuple[ssl.SSLContext, bytes]:
    """The context of a pair, and the PEM that clients pin: read, and tried as a client would. Raises `BadSetting`."""
    anchor = tls.pinned(chain, settings.tls_anchor)
    context = tls.context(chain, key)
    if settings.tls_cert or settings.tls_anchor:
        # Behind a proxy clients see that one's certificate, and only the proxy sees this one. The internal one is made for
        # this name; a clock that is behind at the start of the machine must not keep the relay down until somebody comes.
        tls.try_out(context, tls.trust_anchor(chain) if settings.trusted_proxies else anchor, host)
    return context, anchor


def name_of(settings: Settings) -> str:
    """The host by which devices will know the relay."""
    return public_host(settings.public_url)[0] if settings.public_url else "localhost"
