-- Version 2: what the web console needs. Sessions can be listed and ended; a device's keys wrapped under its passkey; a synced key
-- on its way to another passkey; how often a lease was used.

ALTER TABLE sessions ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN last_seen INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN signer TEXT NOT NULL DEFAULT '';      -- the key of the device that signed in; '' before version 2
CREATE INDEX sessions_by_person ON sessions (person);

-- Ciphertext of the device's own making: AES-256-GCM under a key from its passkey (protocol 11).
CREATE TABLE wrapped (
    person     TEXT NOT NULL,
    device     TEXT NOT NULL,
    credential TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('kem', 'client')),
    public     TEXT NOT NULL,
    blob       TEXT NOT NULL,
    stored     INTEGER NOT NULL,
    PRIMARY KEY (person, device, credential, kind)
) STRICT, WITHOUT ROWID;

ALTER TABLE invites ADD COLUMN device TEXT NOT NULL DEFAULT '';      -- the passkey to come is one more of this device
ALTER TABLE invites ADD COLUMN transfer_enc TEXT;
ALTER TABLE invites ADD COLUMN transfer_ct TEXT;

ALTER TABLE requests ADD COLUMN used INTEGER NOT NULL DEFAULT 0;     -- uses of the lease that the client reported
CREATE INDEX reports_by_request ON reports (request);
