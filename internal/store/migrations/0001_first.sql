-- Times are microseconds since 1970 in UTC; 0 stands for no time.

CREATE TABLE state (
    id      TEXT    NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;

CREATE TABLE access_request (
    id          TEXT    NOT NULL PRIMARY KEY,
    digest      TEXT    NOT NULL,
    subject_iss TEXT    NOT NULL,
    subject_sub TEXT    NOT NULL,
    actor_iss   TEXT    NOT NULL,
    actor_sub   TEXT    NOT NULL,
    client      TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    state       TEXT    NOT NULL
        CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'cancelled', 'consumed')),
    filed_at    INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    note        TEXT    NOT NULL,
    answers     TEXT    NOT NULL,  -- JSON, appended to
    facts       TEXT    NOT NULL,  -- JSON, never changed: what a list shows
    command     BLOB    NOT NULL,  -- JSON, never changed: the full text and parameters
    revision    INTEGER NOT NULL
) STRICT;

-- One command of one principal has at most one request that is open.
CREATE UNIQUE INDEX access_request_open
    ON access_request (digest, subject_iss, subject_sub, actor_iss, actor_sub, client)
    WHERE state IN ('pending', 'approved');
CREATE INDEX access_request_principal
    ON access_request (subject_iss, subject_sub, actor_iss, actor_sub, client, filed_at);
CREATE INDEX access_request_due ON access_request (state, expires_at);
CREATE INDEX access_request_filed ON access_request (filed_at);

-- A deleted credential keeps its row without key and ciphertext, so that its
-- version never comes again.
CREATE TABLE credential (
    name        TEXT    NOT NULL PRIMARY KEY,
    version     INTEGER NOT NULL,
    username    TEXT    NOT NULL,
    key_id      TEXT    NOT NULL,
    wrapped_key BLOB,
    ciphertext  BLOB,
    who         TEXT    NOT NULL,
    at          INTEGER NOT NULL
) STRICT;

CREATE TABLE revocation (
    kind   TEXT    NOT NULL,
    issuer TEXT    NOT NULL,
    value  TEXT    NOT NULL,
    who    TEXT    NOT NULL,
    why    TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (kind, issuer, value)
) STRICT;

CREATE TABLE config_change (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    who  TEXT    NOT NULL,
    at   INTEGER NOT NULL,
    kind TEXT    NOT NULL,
    name TEXT    NOT NULL,
    diff TEXT    NOT NULL
) STRICT;
CREATE INDEX config_change_document ON config_change (kind, name, id);
