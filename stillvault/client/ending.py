"""How the daemon ends, whatever hangs.

The event loop may stand still when it is told to end: at a ready line that nobody reads, in a file system that does not answer.
So the signal is waited for by a thread of its own, which

1. sets the kernel's alarm: `LAST` seconds later it ends the process, also one that hangs while the interpreter shuts down;
2. tells the loop, which withdraws, wipes, says goodbye and returns;
3. where the process is still there after `PATIENCE` seconds, wipes the leases itself, removes the socket and ends the process.

Threads of `Workers` and of `Link` hold up nothing: they end with the process, whatever they wait for.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT)
PATIENCE = 5.0  # seconds from the signal until the process ends without the loop; a goodbye takes two of them
LAST = 8  # seconds until the kernel ends it; whole ones


def end_on_signal(tell: Callable[[], object], give_up: Callable[[], None]) -> None:
    """From now on SIGTERM and SIGINT end this process within `LAST` seconds. To be called by the main thread.

    Both functions are called by another thread: `tell` asks the loop to end, `give_up` does what must not be left undone where
    it does not. Threads that exist already may not take these signals.
    """
    # A disposition that the parent left behind must not keep the alarm from ending us.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_end, args=(tell, give_up), name="ending", daemon=True).start()


def _end(tell: Callable[[], object], give_up: Callable[[], None]) -> None:
    signal.sigwait(SIGNALS)
    signal.alarm(LAST)
    tell()
    time.sleep(PATIENCE)
    # Nothing is logged: whoever holds the loop up may hold a lock of the log.
    try:
        give_up()
    finally:
        os._exit(0)
