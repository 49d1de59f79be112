"""What the log says when a relay starts that has no organisation yet: where to make it, and what to compare.

The URL's token makes the organisation, once, within `limits.setup_seconds`, and only while there is none. It stands in the log
because whoever reads the log of a new appliance is its operator; afterwards it is worth nothing. Where the operator brought a
token of their own (`setup_token`), none is made and none is shown.
"""

from __future__ import annotations

from stillvault.relay import app, tls
from stillvault.relay.context import Relay


def welcome(relay: Relay) -> None:
    """Two lines: how to go on, and the fingerprint that the first device compares."""
    if relay.organisation.standing is not None:
        return
    settings = relay.settings
    again = f"stillvault-relay setup-url --data {settings.data}"
    relay.journal.info("fingerprint of the certificate that clients pin", fingerprint=tls.fingerprint(relay.ca_pem))
    if settings.setup_token:
        relay.journal.info("no organisation yet", next="the setup token of the settings", again=again)
    else:
        minutes = settings.limits.setup_seconds // 60
        relay.journal.info("no organisation yet", setup=app.new_setup_token(settings), minutes=minutes, again=again)
