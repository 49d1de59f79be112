"""Rows to an HTTPS address of the operator's, signed as every webhook of this relay is. A 2xx means that it has them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from stillvault.protocol.rows import Row
from stillvault.relay.notify import http
from stillvault.relay.notify.egress import Egress
from stillvault.relay.places import place
from stillvault.relay.settings import Forward


class Webhook:
    """One POST a batch: `{"v":1,"event":"audit","format":..,"first":N,"rows":[..]}`. With CEF the rows are strings."""

    name = "webhook"

    def __init__(self, settings: Forward) -> None:
        self.address = settings.webhook
        self._settings = settings
        self._egress = Egress(settings.egress)
        self._tls = http.authorities("forward.ca", settings.ca)

    async def send(self, rows: Sequence[Row], lines: Sequence[str]) -> None:
        """Raises `Unsent` with the codes of http.post."""
        inner = ",".join(json.dumps(line) if self._settings.format == "cef" else line for line in lines)
        head = f'{{"v":1,"event":"audit","format":"{self._settings.format}","first":{rows[0]["index"]},"rows":['
        body = f"{head}{inner}]}}".encode()
        headers = http.signed(self._settings.webhook_secret, int(time.time()), body)
        await http.post(self._egress, self._tls, self._settings.timeout_seconds, place(self.address), headers, body)
