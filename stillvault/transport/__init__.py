"""How every party but the relay reaches the relay and the daemon of its host, and what it keeps on its own disk.

`http` speaks verified TLS to one relay; `home` is the directory of one identity; `session` signs in; `trust` verifies and
remembers the organisation's root chain, roster and log head; `identity` loads the keys of clients; `local` speaks to the
daemon's socket. No lease, no prompt and no policy lives here.
"""
