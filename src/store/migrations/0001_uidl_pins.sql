-- The recipe for unique-ids that served a user first, by UIDVALIDITY. Only BIGINT and TEXT, so that the same
-- text serves every database.
CREATE TABLE IF NOT EXISTS uidl_pins (
    username     TEXT   NOT NULL,
    uidvalidity  BIGINT NOT NULL,
    recipe       TEXT   NOT NULL,
    first_served BIGINT NOT NULL, -- Unix seconds
    PRIMARY KEY (username, uidvalidity)
);

-- The UIDVALIDITY under which a user was served last: another one means that clients download everything
-- again, even one that was there before (a restored backup).
CREATE TABLE IF NOT EXISTS last_uidvalidity (
    username    TEXT   NOT NULL PRIMARY KEY,
    uidvalidity BIGINT NOT NULL
);
