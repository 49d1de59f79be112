-- Version 3. What people want to hear of a waiting card by, and the messages that are still to be sent or counted.

CREATE TABLE targets (
    id      TEXT PRIMARY KEY,                     -- random; known to its person alone
    person  TEXT NOT NULL,
    name    TEXT NOT NULL,                        -- stands as `device` in the audit log
    kind    TEXT NOT NULL CHECK (kind IN ('browser', 'webpush', 'ntfy', 'gotify', 'webhook', 'smtp')),
    device  TEXT NOT NULL,                        -- the device that made it
    address TEXT NOT NULL,                        -- JSON, with the credentials of that service: they must be sent, so they are here
    created INTEGER NOT NULL,
    last_at INTEGER NOT NULL DEFAULT 0,
    last    TEXT NOT NULL DEFAULT '',             -- the last outcome
    UNIQUE (person, name)
) STRICT, WITHOUT ROWID;

-- One card for one target. It waits while `ended` is 0; what has ended is kept for an hour to count by.
CREATE TABLE notices (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    target   TEXT NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
    card     BLOB NOT NULL,
    requests TEXT NOT NULL,                       -- JSON array of oids in hexadecimal
    due      INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    tries    INTEGER NOT NULL DEFAULT 0,
    said     TEXT NOT NULL DEFAULT '',            -- why the last try failed
    ended    INTEGER NOT NULL DEFAULT 0,
    sent     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (target, card)
) STRICT;
CREATE INDEX notices_waiting ON notices (due) WHERE ended = 0;
CREATE INDEX notices_sent ON notices (target, sent) WHERE sent > 0;
