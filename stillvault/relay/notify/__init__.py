"""Messages that leave the relay: where to, by which channel, when, and what became of them. None of them names anything."""
