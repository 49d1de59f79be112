"""The certificate that is served, looked at again while the relay runs: on SIGHUP, when its files change, and when the internal
one is due.

A new pair counts only when a client would take it: it is tried in memory, under the certificate that clients pinned and the
relay's own name. Whatever is wrong with it stands in the log, and the one before goes on. A pair of another authority is not
taken while the relay runs: everybody who pinned the old one would be locked out, so that is a restart that somebody means.
"""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Callable
from pathlib import Path

from stillvault.relay import tls
from stillvault.relay.journal import Journal
from stillvault.relay.named import fit
from stillvault.relay.settings import BadSetting, Settings

LOOK_SECONDS = 5
WARN_DAYS = 14

Marks = tuple[object, ...]


class Certificate:
    """What is served now: `context` for new connections, `anchor`, the PEM that clients pin, `expires`. Raises `BadSetting`."""

    def __init__(self, settings: Settings, host: str, journal: Journal) -> None:
        self._settings, self._host, self._journal = settings, host, journal
        self._asked = asyncio.Event()
        self._seen = self._marks()
        self.context, self.anchor, self.expires = self._load()

    def ask(self) -> None:
        """Look now, whatever the files' times say (SIGHUP)."""
        self._asked.set()

    async def watch(self, use: Callable[[ssl.SSLContext], None]) -> None:
        """Hands each new context to `use`, for ever."""
        while True:
            try:
                await asyncio.wait_for(self._asked.wait(), LOOK_SECONDS)
            except TimeoutError:
                if self._marks() == self._seen:
                    continue
            self._asked.clear()
            if self._renew():
                use(self.context)

    def _renew(self) -> bool:
        self._seen = self._marks()
        try:
            context, anchor, expires = self._load()
            if anchor != self.anchor:
                rule = "it is of another authority than the one that clients pinned"
                raise BadSetting("certificate", "tls_cert", rule, "Restart the relay if you mean it: everybody joins anew.")
        except BadSetting as error:
            return self._not_taken(str(error))
        except (OSError, ValueError) as error:  # a full disk, or a file that changed between two looks: the next look finds it
            return self._not_taken(type(error).__name__)
        self.context, self.expires = context, expires
        self._journal.info("certificate", until=expires.isoformat())
        left = expires - datetime.datetime.now(datetime.UTC)
        if left < datetime.timedelta(days=WARN_DAYS):
            self._journal.warning("the certificate ends soon", days=left.days)
        return True

    def _not_taken(self, reason: str) -> bool:
        self._journal.warning("new certificate not taken, the one before goes on", reason=reason)
        return False

    def _load(self) -> tuple[ssl.SSLContext, bytes, datetime.datetime]:
        settings, directory = self._settings, self._settings.directory
        if settings.tls_cert:
            chain, key = Path(settings.tls_cert), Path(settings.tls_key)
        else:
            chain, key = tls.prepare(directory, [self._host, "localhost", "127.0.0.1"], datetime.datetime.now(datetime.UTC))
        context, anchor = fit(settings, self._host, chain, key)
        tls.keep_own(directory, chain if settings.tls_cert else None, anchor if settings.tls_anchor else b"")
        return context, anchor, tls.expires(chain)

    def _marks(self) -> Marks:
        """Changes when there may be something new to serve. The day counts: the internal certificate is renewed in time."""
        return datetime.datetime.now(datetime.UTC).date(), _mark(self._settings.tls_cert), _mark(self._settings.tls_key)


def _mark(path: str) -> Marks:
    try:
        status = Path(path).stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_ino, status.st_size
