-- Every change of a user, in the order of commits, without gaps.
CREATE TABLE changes (
    seq BIGINT PRIMARY KEY,
    -- Microseconds since the Unix epoch.
    at BIGINT NOT NULL,
    -- Whether the user is no more: the rest is what it was.
    is_deletion BOOLEAN NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    status INTEGER NOT NULL,
    created_at BIGINT NOT NULL
);

-- The last number given; one row, locked by whoever takes a number until the commit.
CREATE TABLE change_head (
    only_row BOOLEAN PRIMARY KEY CHECK (only_row),
    seq BIGINT NOT NULL
);

INSERT INTO change_head (only_row, seq) VALUES (TRUE, 0);
