-- What agents spent at targets, by minute. Rows are added to for a minute and
-- forgotten after some hours.
CREATE TABLE spending (
    issuer TEXT    NOT NULL,
    agent  TEXT    NOT NULL,
    target TEXT    NOT NULL,
    minute INTEGER NOT NULL,  -- when it began, in microseconds
    rows   INTEGER NOT NULL,
    bytes  INTEGER NOT NULL,
    cells  INTEGER NOT NULL,
    writes INTEGER NOT NULL,
    PRIMARY KEY (issuer, agent, target, minute)
) STRICT, WITHOUT ROWID;
CREATE INDEX spending_minute ON spending (minute);
