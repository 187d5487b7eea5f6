CREATE TABLE users (
    -- Compared byte by byte, so that a page's order is the same wherever the database is.
    id TEXT COLLATE "C" PRIMARY KEY,
    email TEXT NOT NULL,
    -- The email in lower case: two spellings of one address are one user.
    email_key TEXT COLLATE "C" NOT NULL CONSTRAINT users_email_key UNIQUE,
    name TEXT NOT NULL,
    status INTEGER NOT NULL,
    -- A PHC string, or empty: such a user cannot log in.
    password_hash TEXT NOT NULL,
    -- Microseconds since the Unix epoch.
    created_at BIGINT NOT NULL
);
