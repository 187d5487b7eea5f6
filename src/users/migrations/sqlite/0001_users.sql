CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL,
    -- The email in lower case: two spellings of one address are one user.
    email_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status INTEGER NOT NULL,
    -- A PHC string, or empty: such a user cannot log in.
    password_hash TEXT NOT NULL,
    -- Microseconds since the Unix epoch.
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
