"""The relay, as a real process over TLS on loopback with a real database. `process.py` runs it, `parties.py` speaks to it."""
