"""Who never sees a value: the relay, its disk, the wire, an interpreter. Every scan also finds what was planted there."""
