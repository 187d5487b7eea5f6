-- Every change of a user, in the order of commits, without gaps.
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY NOT NULL,
    -- Microseconds since the Unix epoch.
    at INTEGER NOT NULL,
    -- Whether the user is no more: the rest is what it was.
    is_deletion INTEGER NOT NULL,
    id TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    status INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- The last number given; one row.
CREATE TABLE change_head (
    only INTEGER PRIMARY KEY NOT NULL CHECK (only = 1),
    seq INTEGER NOT NULL
) STRICT;

INSERT INTO change_head (only, seq) VALUES (1, 0);
