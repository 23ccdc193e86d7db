-- Only BIGINT and TEXT, so that the same text serves every database. Times are Unix seconds, sizes octets.
-- "BINARY" is the order of octets: SQLite has it, and PostgreSQL is given it before this, so that pages of names are
-- the same pages everywhere, and no index depends on the version of a library that knows languages.

-- The lowest schema that a program must know to use this database. A migration that takes something away
-- raises it; one that only adds leaves it, so that the version before goes on serving.
CREATE TABLE schema_needs (
    one     BIGINT NOT NULL PRIMARY KEY,
    lowest  BIGINT NOT NULL,
    version TEXT   NOT NULL -- the lastpop that knows it
);
INSERT INTO schema_needs (one, lowest, version) VALUES (1, 1, '0.1.0');

-- 'generation' counts changes of policy.
CREATE TABLE counters (
    name  TEXT   NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('generation', 0);

-- The recipe for unique-ids that served a user first, by UIDVALIDITY.
CREATE TABLE uidl_pins (
    username     TEXT COLLATE "BINARY" NOT NULL,
    uidvalidity  BIGINT NOT NULL,
    recipe       TEXT   NOT NULL,
    first_served BIGINT NOT NULL,
    PRIMARY KEY (username, uidvalidity)
);

-- The UIDVALIDITY under which a user was served last: another one means that clients download everything
-- again, even one that was there before (a restored backup).
CREATE TABLE last_uidvalidity (
    username    TEXT COLLATE "BINARY" NOT NULL PRIMARY KEY,
    uidvalidity BIGINT NOT NULL
);

-- One row for each user who has logged in or has a mode of their own.
CREATE TABLE users (
    username          TEXT COLLATE "BINARY" NOT NULL PRIMARY KEY,
    domain            TEXT COLLATE "BINARY" NOT NULL,
    -- Policy. NULL: the domain's.
    mode              TEXT,
    mode_since        BIGINT NOT NULL DEFAULT 0,
    planned_mode      TEXT,
    planned_from      BIGINT,            -- NULL: nothing is planned
    set_by            TEXT,              -- the batch that set it, see audit
    language          TEXT,
    notice_dismissed  TEXT,              -- campaigns whose notice was deleted, with a blank between them
    farewell_dismissed TEXT,
    unhide_since      BIGINT,            -- hidden mail from then on is to be shown again at the next login
    -- Usage.
    first_seen        BIGINT,
    last_seen         BIGINT,
    address           TEXT,
    tls               TEXT,
    method            TEXT,
    sessions          BIGINT NOT NULL DEFAULT 0,
    messages          BIGINT NOT NULL DEFAULT 0,
    octets            BIGINT NOT NULL DEFAULT 0,
    deleted           BIGINT NOT NULL DEFAULT 0,
    refused           BIGINT NOT NULL DEFAULT 0,
    last_refused      BIGINT,
    maildrop_at       BIGINT,            -- when the mailbox was listed last
    maildrop_messages BIGINT,
    maildrop_octets   BIGINT,
    hidden_messages   BIGINT,
    hidden_octets     BIGINT,
    quota_used        BIGINT,
    quota_limit       BIGINT,
    quota_at          BIGINT,
    poll_interval     BIGINT,            -- seconds
    keeps_mail        BIGINT,            -- 1: leaves mail on the server, 0: deletes it, NULL: not known
    family            TEXT,
    active_day        BIGINT,            -- day (since 1970, UTC) of the last session
    active_days       BIGINT NOT NULL DEFAULT 0 -- bit n: a session n days before active_day
);
CREATE INDEX users_by_domain ON users (domain, username);
CREATE INDEX users_by_last_seen ON users (last_seen);

-- Modes of domains; '*' is everyone.
CREATE TABLE domains (
    domain       TEXT COLLATE "BINARY" NOT NULL PRIMARY KEY,
    mode         TEXT,
    mode_since   BIGINT NOT NULL DEFAULT 0,
    planned_mode TEXT,
    planned_from BIGINT,
    set_by       TEXT
);

-- Who changed what, when and why. Rows are only added.
CREATE TABLE audit (
    id               TEXT COLLATE "BINARY" NOT NULL PRIMARY KEY, -- the batch, and the subject where a batch has several
    at               BIGINT NOT NULL,
    actor            TEXT   NOT NULL,
    action           TEXT   NOT NULL,
    kind             TEXT   NOT NULL,             -- user, domain, wave, proxy
    subject          TEXT COLLATE "BINARY" NOT NULL,
    old_mode         TEXT,
    old_since        BIGINT,
    old_planned_mode TEXT,
    old_planned_from BIGINT,
    new_mode         TEXT,
    new_since        BIGINT,
    new_planned_mode TEXT,
    new_planned_from BIGINT,
    old_language     TEXT,                        -- NULL: the change is not about it; empty: none is set
    new_language     TEXT,
    detail           TEXT,
    reason           TEXT   NOT NULL,
    batch            TEXT COLLATE "BINARY" NOT NULL,
    undone_by        TEXT                          -- the id of the undo
);
CREATE INDEX audit_by_subject ON audit (kind, subject, id);
CREATE INDEX audit_by_batch ON audit (batch, id);

-- Rows of a bulk change, before it is applied as a whole.
CREATE TABLE staged (
    batch        TEXT COLLATE "BINARY" NOT NULL,
    username     TEXT COLLATE "BINARY" NOT NULL,
    domain       TEXT COLLATE "BINARY" NOT NULL,
    mode         TEXT,
    planned_mode TEXT,
    planned_from BIGINT,
    language     TEXT,
    at           BIGINT NOT NULL,
    PRIMARY KEY (batch, username)
);

CREATE TABLE waves (
    wave       TEXT COLLATE "BINARY" NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    target     TEXT   NOT NULL,                    -- JSON
    state      TEXT   NOT NULL,
    batch      TEXT COLLATE "BINARY" NOT NULL, -- what its changes are called in users.set_by
    members    BIGINT,                             -- how many; NULL: not known before it starts
    changed_at BIGINT NOT NULL
);

CREATE TABLE wave_steps (
    wave     TEXT COLLATE "BINARY" NOT NULL,
    step     BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    mode     TEXT   NOT NULL,
    fired_at BIGINT,
    users    BIGINT,
    batch    TEXT,                                 -- what the audit trail calls what it did
    PRIMARY KEY (wave, step)
);

-- What members had before the wave is in the audit trail, under the batch of the first step that moved them.
CREATE TABLE wave_members (
    wave     TEXT COLLATE "BINARY" NOT NULL,
    username TEXT COLLATE "BINARY" NOT NULL,
    domain   TEXT COLLATE "BINARY" NOT NULL,
    PRIMARY KEY (wave, username)
);

-- The last transaction of each writer of usage, so that one whose answer was lost is not added up twice.
CREATE TABLE usage_writers (
    writer TEXT   NOT NULL PRIMARY KEY, -- a run of a proxy, and one of its hands
    number BIGINT NOT NULL,
    at     BIGINT NOT NULL
);

-- Totals by day (since 1970, UTC) and domain.
CREATE TABLE daily (
    day       BIGINT NOT NULL,
    domain    TEXT COLLATE "BINARY" NOT NULL,
    active_1  BIGINT NOT NULL DEFAULT 0, -- users with a session on that day
    active_7  BIGINT NOT NULL DEFAULT 0, -- in the 7 days that end with it
    active_30 BIGINT NOT NULL DEFAULT 0,
    sessions  BIGINT NOT NULL DEFAULT 0,
    messages  BIGINT NOT NULL DEFAULT 0,
    octets    BIGINT NOT NULL DEFAULT 0,
    deleted   BIGINT NOT NULL DEFAULT 0,
    refused   BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (day, domain)
);

-- What one proxy worked out for all of them.
CREATE TABLE summaries (
    name TEXT   NOT NULL PRIMARY KEY,
    at   BIGINT NOT NULL,
    body TEXT   NOT NULL                 -- JSON
);

-- What a campaign's notices are made of, as it was when it began: they must not change.
CREATE TABLE notices (
    campaign   TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    domain     TEXT COLLATE "BINARY" NOT NULL,
    language   TEXT   NOT NULL,
    started_at BIGINT NOT NULL,
    template   TEXT   NOT NULL,
    url        TEXT   NOT NULL,
    sender     TEXT   NOT NULL, -- empty: the user's domain
    PRIMARY KEY (campaign, kind, domain, language)
);
