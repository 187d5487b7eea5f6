//! Logins, tokens and passwords of the bundled user service.

use std::str::FromStr;

use serde::Deserialize;

/// Whether callers show a token, and what tokens are like. Times are in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Default: off.
    pub mode: AuthMode,
    /// Who tokens say has signed them. Default: `transom`.
    pub issuer: String,
    /// For whom tokens say they are. Default: `transom`.
    pub audience: String,
    /// How long an access token is good. Default: 900, which is also the most.
    pub access_token_s: u64,
    /// How long a refresh token is good; at most ten years. Default: 2,592,000 (30 days).
    pub refresh_token_s: u64,
    /// How long a key signs; the one before it verifies for as long. Default: 2,592,000 (30
    /// days), at least 3,600, at most ten years.
    pub key_s: u64,
    /// Failed logins of one account from one address in a minute; ten times as many from all
    /// addresses together. Default: 10. Zero is no limit.
    pub account_attempts_per_minute: u32,
    /// Failed logins from one address (of IPv6: one network of 64 bits) in a minute. Default: 60.
    /// Zero is no limit. The address is that of the connection: behind a proxy it is the proxy's,
    /// and the limit is for zero. `user-service`, behind its gateways, has none.
    pub address_attempts_per_minute: u32,
    /// Users with a password that one address may create in a minute. Default: 60. Zero is no
    /// limit. Otherwise as above.
    pub sign_ups_per_minute: u32,
    /// Passwords that are hashed at once, each in 19 MiB. Default: 0, one for each core.
    pub password_concurrency: usize,
    /// Logins that wait for a password to be hashed, and sign-ups; further ones are refused.
    /// Default: 32 each.
    pub password_queue_limit: usize,
    /// Whether CreateUser answers for a known email as for a new one: its answer alone does not
    /// tell who is registered. Default: false.
    pub hide_existing_email: bool,
}

/// Whether callers of the bundled service show a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Nobody does.
    #[default]
    Off,
    /// Every method takes an access token, but those that a caller without one needs.
    Jwt,
}

impl FromStr for AuthMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "jwt" => Ok(Self::Jwt),
            _ => Err(format!("`{text}` is no way of authentication: write jwt or off")),
        }
    }
}

impl Auth {
    pub(super) fn check(&self) -> Result<(), String> {
        const TEN_YEARS_S: u64 = 10 * 365 * 86_400;
        let times = [
            ("auth.access_token_s", self.access_token_s, 1..=900),
            ("auth.refresh_token_s", self.refresh_token_s, 1..=TEN_YEARS_S),
            // A token outlives the change of keys, but not two.
            ("auth.key_s", self.key_s, 3_600..=TEN_YEARS_S),
        ];
        if let Some((key, _, range)) = times.iter().find(|(_, time, range)| !range.contains(time)) {
            return Err(format!("{key} must be {} to {}", range.start(), range.end()));
        }
        let names = [("auth.issuer", &self.issuer), ("auth.audience", &self.audience)];
        match names.iter().find(|(_, name)| name.is_empty()) {
            Some((key, _)) => Err(format!("{key} cannot be empty")),
            None => Ok(()),
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            mode: AuthMode::Off,
            issuer: "transom".to_owned(),
            audience: "transom".to_owned(),
            access_token_s: 900,
            refresh_token_s: 2_592_000,
            key_s: 2_592_000,
            account_attempts_per_minute: 10,
            address_attempts_per_minute: 60,
            sign_ups_per_minute: 60,
            password_concurrency: 0,
            password_queue_limit: 32,
            hide_existing_email: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_told_by_its_key() {
        assert_eq!(Auth::default().check(), Ok(()));
        let wrong = [
            (Auth { access_token_s: 901, ..Auth::default() }, "auth.access_token_s"),
            (Auth { access_token_s: 0, ..Auth::default() }, "auth.access_token_s"),
            (Auth { refresh_token_s: 0, ..Auth::default() }, "auth.refresh_token_s"),
            (Auth { refresh_token_s: u64::MAX, ..Auth::default() }, "auth.refresh_token_s"),
            (Auth { key_s: 3_599, ..Auth::default() }, "auth.key_s"),
            (Auth { key_s: u64::MAX, ..Auth::default() }, "auth.key_s"),
            (Auth { issuer: String::new(), ..Auth::default() }, "auth.issuer"),
            (Auth { audience: String::new(), ..Auth::default() }, "auth.audience"),
        ];
        for (auth, key) in wrong {
            assert!(auth.check().unwrap_err().starts_with(key), "{key}");
        }
    }

    #[test]
    fn a_mode_is_off_or_jwt() {
        assert_eq!("jwt".parse(), Ok(AuthMode::Jwt));
        assert_eq!("off".parse(), Ok(AuthMode::Off));
        assert!("basic".parse::<AuthMode>().unwrap_err().contains("basic"));
    }
}
