-- Version 1. Signed objects are kept as the exact bytes of their wrapper: they are what counts, the columns beside them are for
-- finding. Times are unix seconds. Oids, keys and tokens are SHA-256 hashes, 32 bytes. Bearers stand here only as their hash.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE roots (
    version INTEGER PRIMARY KEY,
    oid     BLOB NOT NULL UNIQUE,
    signed  BLOB NOT NULL
) STRICT;

CREATE TABLE rosters (
    seq     INTEGER PRIMARY KEY,
    root    INTEGER NOT NULL,
    version INTEGER NOT NULL,
    oid     BLOB NOT NULL UNIQUE,
    signed  BLOB NOT NULL,
    stored  INTEGER NOT NULL,
    UNIQUE (root, version)
) STRICT;

CREATE TABLE certs (
    oid       BLOB PRIMARY KEY,
    subject   TEXT NOT NULL,
    key       BLOB NOT NULL,
    signed    BLOB NOT NULL,
    issued    INTEGER NOT NULL,
    stored    INTEGER NOT NULL,
    last_seen INTEGER NOT NULL DEFAULT 0,
    trusted   INTEGER NOT NULL DEFAULT 0          -- a person has approved a request of this key before
) STRICT, WITHOUT ROWID;
CREATE INDEX certs_by_key ON certs (key, subject, issued);

CREATE TABLE invites (
    invite       BLOB PRIMARY KEY,
    bearer       BLOB NOT NULL UNIQUE,
    kind         TEXT NOT NULL CHECK (kind IN ('person', 'client')),
    subject      TEXT NOT NULL,
    roles        TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    host         TEXT NOT NULL,
    grade        TEXT NOT NULL,
    created      INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    created_by   TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('open', 'joined', 'challenged', 'proved', 'confirmed', 'cancelled', 'expired')),
    enrol        BLOB,
    enrol_oid    BLOB UNIQUE,
    ticket       BLOB UNIQUE,
    challenge_enc TEXT,
    challenge_ct TEXT,
    proof        TEXT NOT NULL DEFAULT '',
    cert         BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE setup_tokens (hash BLOB PRIMARY KEY, expires INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sessions (
    hash    BLOB PRIMARY KEY,
    person  TEXT NOT NULL,                        -- '' for a client
    device  TEXT NOT NULL,
    client  BLOB NOT NULL,                        -- oid of the certificate; empty for a person
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    seq        INTEGER PRIMARY KEY,
    oid        BLOB NOT NULL UNIQUE,
    path       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    newest     INTEGER NOT NULL CHECK (newest IN (0, 1)),
    stored     INTEGER NOT NULL,
    signed     BLOB NOT NULL,
    ciphertext BLOB NOT NULL,
    UNIQUE (path, version, revision)
) STRICT;
CREATE UNIQUE INDEX secrets_newest ON secrets (path) WHERE newest = 1;

CREATE TABLE requests (
    seq        INTEGER PRIMARY KEY,
    oid        BLOB NOT NULL UNIQUE,
    client     BLOB NOT NULL,                     -- oid of the certificate
    key        BLOB NOT NULL,                     -- hash of the certificate's key: who may read the state
    subject    TEXT NOT NULL,
    host       TEXT NOT NULL,                     -- from the certificate
    id         TEXT NOT NULL,
    path       TEXT NOT NULL,
    purpose    TEXT NOT NULL,
    identity   BLOB NOT NULL,                     -- client key, uid, executable: what limits count by
    observed   BLOB NOT NULL,
    card       BLOB NOT NULL,
    secret     BLOB NOT NULL,
    state      TEXT NOT NULL CHECK (state IN
        ('pending', 'approved', 'delivered', 'failed', 'denied', 'expired', 'cancelled', 'revoked')),
    threshold  INTEGER NOT NULL,
    deny       TEXT NOT NULL CHECK (deny IN ('veto', 'count')),
    people     TEXT NOT NULL,                     -- JSON array: who may decide
    asked      TEXT NOT NULL,                     -- JSON array: who was asked
    handed     INTEGER NOT NULL DEFAULT 0,
    created    INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    lease_ends INTEGER NOT NULL DEFAULT 0,        -- 0: no lease that the relay knows of
    signed     BLOB NOT NULL,
    UNIQUE (key, id)
) STRICT;
CREATE INDEX requests_open ON requests (expires) WHERE state IN ('pending', 'approved');
CREATE INDEX requests_waiting ON requests (seq) WHERE state = 'pending';
CREATE INDEX requests_by_path ON requests (path, state);
CREATE INDEX requests_leased ON requests (lease_ends) WHERE lease_ends > 0;

-- One decision per request and person. A release is kept in (enc, ct) until it is deleted; the approval may outlive it.
CREATE TABLE votes (
    request  BLOB NOT NULL,
    person   TEXT NOT NULL,
    device   TEXT NOT NULL,
    verdict  TEXT NOT NULL CHECK (verdict IN ('approve', 'deny', 'freeze')),
    decision BLOB NOT NULL,
    expires  INTEGER NOT NULL,
    window   INTEGER NOT NULL,
    enc      TEXT NOT NULL DEFAULT '',
    ct       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (request, person)
) STRICT, WITHOUT ROWID;

CREATE TABLE decisions (
    oid    BLOB PRIMARY KEY,
    signed BLOB NOT NULL,
    stored INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Objects that said something about a request: an oid seen before changes nothing.
CREATE TABLE seen (request BLOB NOT NULL, oid BLOB NOT NULL, PRIMARY KEY (request, oid)) STRICT, WITHOUT ROWID;
CREATE TABLE reports (oid BLOB PRIMARY KEY, request BLOB NOT NULL, signed BLOB NOT NULL, stored INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE prompted (
    request BLOB NOT NULL, person TEXT NOT NULL, device TEXT NOT NULL, channel TEXT NOT NULL,
    PRIMARY KEY (request, person, device, channel)
) STRICT, WITHOUT ROWID;

-- What the limits count. One row a command; `refunded` once its card was approved.
CREATE TABLE cards (
    seq      INTEGER PRIMARY KEY,
    card     BLOB NOT NULL,
    key      BLOB NOT NULL,
    identity BLOB NOT NULL,
    purpose  TEXT NOT NULL,
    at       INTEGER NOT NULL,
    refunded INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX cards_by_card ON cards (card);
CREATE INDEX cards_by_identity ON cards (identity, at);
CREATE INDEX cards_by_key ON cards (key, at);
CREATE TABLE asks (person TEXT NOT NULL, at INTEGER NOT NULL, card BLOB NOT NULL, PRIMARY KEY (person, at, card)) STRICT, WITHOUT ROWID;
CREATE TABLE denials (
    request BLOB PRIMARY KEY, key BLOB NOT NULL, identity BLOB NOT NULL, path TEXT NOT NULL, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX denials_by_key ON denials (key, at);
CREATE TABLE holds (seq INTEGER PRIMARY KEY, subject TEXT NOT NULL, until INTEGER NOT NULL, decision BLOB) STRICT;
CREATE INDEX holds_by_subject ON holds (subject, until);

CREATE TABLE events (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,   -- the cursor: never used twice
    at       INTEGER NOT NULL,
    audience TEXT NOT NULL,
    kind     TEXT NOT NULL,
    oid      TEXT NOT NULL,
    request  TEXT NOT NULL,
    path     TEXT NOT NULL,
    state    TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_audience ON events (audience, id);

-- RFC 6962: leaves, and the root of every complete subtree of 2^level leaves (level 0: the leaf hashes).
CREATE TABLE leaves (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL) STRICT;
CREATE TABLE nodes (level INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, position)) STRICT, WITHOUT ROWID;
