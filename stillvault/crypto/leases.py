"""Plaintext kept for a while, so that a program that was approved need not ask again: the daemon's memory.

A `LeaseCache` holds values in secret memory under (client, path, scope). It keeps no clock: every call takes `now`, the
milliseconds of CLOCK_BOOTTIME, so that a suspended machine does not lengthen a lease. `find` counts nothing; `deliver` looks
at window, uses and scope again, writes the value to a descriptor from Rust and counts the use. What ends is wiped at once.

`lease_terms` is the arithmetic of section 10 alone; `is_interpreter` is the fixed list of programs whose executable says
nothing about the program that they run.
"""

from __future__ import annotations

from stillvault._native import LeaseCache, is_interpreter, lease_terms

__all__ = ["LeaseCache", "is_interpreter", "lease_terms"]
