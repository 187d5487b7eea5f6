//! Which pages of other origins may call.

use http::HeaderValue;
use serde::Deserialize;

/// Cross-origin resource sharing. Off until an origin is named.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins, exactly as browsers send them (`https://app.example.com`); `*` for all; `dev`
    /// for every port of this machine. Their pages may open WebSockets too. Default: none.
    pub origins: Vec<String>,
    /// Whether pages may send cookies and certificates. Not together with `*`. Default: false.
    pub credentials: bool,
    /// Response headers that pages may read, beside those of gRPC-Web, `x-request-id` and
    /// encodings: `trailer-…` of Connect by name. Default: none.
    pub expose: Vec<String>,
    /// How long a browser may remember the answer to a preflight, in seconds. Default: 7200.
    pub max_age_s: u64,
}

impl Default for Cors {
    fn default() -> Self {
        Self { origins: Vec::new(), credentials: false, expose: Vec::new(), max_age_s: 7_200 }
    }
}

impl Cors {
    /// Whether pages of every origin may call.
    pub fn is_open(&self) -> bool {
        self.origins.iter().any(|origin| origin == "*")
    }

    /// Whether pages of this origin may call.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|allowed| match allowed.as_str() {
            "*" => true,
            "dev" => is_local(origin),
            allowed => origin == allowed,
        })
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.is_open() && self.credentials {
            return Err("cors.origins cannot be `*` together with cors.credentials".to_owned());
        }
        for origin in &self.origins {
            let is_origin = origin.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https")
                    && !host.is_empty()
                    && !host.contains(['/', '?', '#', '@', '*', ' '])
            });
            if !(is_origin || origin == "*" || origin == "dev") {
                let form = "write https://HOST[:PORT] without a path, or `*`, or `dev`";
                return Err(format!("cors.origins: `{origin}` is no origin: {form}"));
            }
        }
        for name in &self.expose {
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(format!("cors.expose: `{name}` is no header name"));
            }
        }
        Ok(())
    }
}

/// Whether an origin is some port of this machine.
fn is_local(origin: &HeaderValue) -> bool {
    let host = origin.to_str().ok().and_then(|origin| {
        origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
    });
    ["localhost", "127.0.0.1", "[::1]"].into_iter().any(|local| {
        host.and_then(|host| host.strip_prefix(local)).is_some_and(|rest| match rest {
            "" => true,
            port => port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_is_this_machine_and_no_name_that_begins_like_it() {
        for local in
            ["http://localhost", "https://localhost:3000", "http://127.0.0.1:1", "http://[::1]:9"]
        {
            assert!(is_local(&HeaderValue::from_static(local)), "{local}");
        }
        for other in [
            "null",
            "http://localhost.evil.example",
            "http://localhost:3000.evil",
            "ftp://localhost",
        ] {
            assert!(!is_local(&HeaderValue::from_static(other)), "{other}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        let check = |origins: &[&str], credentials| {
            let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
            Cors { origins, credentials, ..Cors::default() }.check()
        };
        assert!(check(&["https://a.example", "http://localhost:3000", "dev"], true).is_ok());
        assert!(check(&["*"], false).is_ok());
        assert!(check(&["*"], true).unwrap_err().contains("credentials"));
        for wrong in ["null", "a.example", "https://", "https://a/", "https://*.a", "ftp://a", ""] {
            assert!(check(&[wrong], false).is_err(), "{wrong}");
        }
        let expose = vec!["x y".to_owned()];
        assert!(Cors { expose, ..Cors::default() }.check().is_err());
    }
}
