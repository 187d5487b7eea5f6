CREATE TABLE refresh_tokens (
    -- SHA-256 of the token: who reads this table cannot log in with it.
    hash BYTEA PRIMARY KEY,
    -- All tokens that came of one login.
    family TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    is_used BOOLEAN NOT NULL,
    -- Microseconds since the Unix epoch.
    expires_at BIGINT NOT NULL
);

CREATE INDEX refresh_tokens_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_user ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);

-- The newest signs, the newest two verify.
CREATE TABLE signing_keys (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kid TEXT COLLATE "C" NOT NULL UNIQUE,
    -- PKCS #8.
    private_key BYTEA NOT NULL,
    -- Microseconds since the Unix epoch.
    created_at BIGINT NOT NULL
);
