CREATE TABLE refresh_tokens (
    -- SHA-256 of the token: who reads this table cannot log in with it.
    hash BLOB PRIMARY KEY NOT NULL,
    -- All tokens that came of one login.
    family TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    is_used INTEGER NOT NULL,
    -- Microseconds since the Unix epoch.
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);

-- The newest signs, the newest two verify.
CREATE TABLE signing_keys (
    number INTEGER PRIMARY KEY NOT NULL,
    kid TEXT NOT NULL UNIQUE,
    -- PKCS #8.
    private_key BLOB NOT NULL,
    -- Microseconds since the Unix epoch.
    created_at INTEGER NOT NULL
) STRICT;
