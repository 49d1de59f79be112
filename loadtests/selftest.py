"""Does the measuring measure? A server that stands still for 300 ms in every two seconds, asked by an open and by a closed loop.

    python -m loadtests.selftest        prints the 95th percentile of each, milliseconds, as JSON

15 % of the arrivals meet a stall, a third of those wait at least 200 ms: the open loop must show a 95th percentile of 150 ms or
more. The closed loop asks a thousand times while nothing stands still and once while it does, and shows next to nothing.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402  gevent's sockets come first
import socket  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

from loadtests.arrivals import Plan  # noqa: E402
from loadtests.histogram import Histogram  # noqa: E402
from loadtests.openloop import OpenLoop  # noqa: E402

PERIOD, STALL = 2.0, 0.3  # seconds
SECONDS, RATE = 8.0, 60.0

SERVER = f"""
import selectors, socket, time
listener = socket.create_server(("127.0.0.1", 0), backlog=512)
print(listener.getsockname()[1], flush=True)
ready = selectors.DefaultSelector()
ready.register(listener, selectors.EVENT_READ)
stall = time.monotonic() + {PERIOD - STALL}
while True:
    found = ready.select(max(stall - time.monotonic(), 0))
    if time.monotonic() >= stall:
        time.sleep({STALL})
        stall += {PERIOD}
    for key, _ in found:
        if key.fileobj is listener:
            ready.register(listener.accept()[0], selectors.EVENT_READ)
        elif said := key.fileobj.recv(64):
            key.fileobj.sendall(said)
        else:
            ready.unregister(key.fileobj)
            key.fileobj.close()
"""


def main() -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
    assert server.stdout is not None
    port = int(server.stdout.readline())

    def ask() -> None:
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(b"?")
            if line.recv(64) != b"?":
                raise ConnectionError("no echo")

    try:
        loop = OpenLoop(ask)
        loop.run(Plan(RATE, SECONDS, seed=1), time.monotonic(), drain=30)
        closed, until = Histogram(), time.monotonic() + SECONDS
        while (began := time.monotonic()) < until:
            ask()
            closed.record(time.monotonic() - began)
    finally:
        server.kill()
        server.communicate()
    print(json.dumps({"open": loop.times.percentile(95), "closed": closed.percentile(95), "offered": loop.offered,
                      "completed": loop.completed, "failed": loop.failed}))


if __name__ == "__main__":
    main()
