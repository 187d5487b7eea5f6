//! JSON Web Tokens (RFC 7519), signed with Ed25519 (RFC 8037): keys, signing, verifying. Pure: the
//! time is a parameter.
//!
//! A token's `kid` chooses among the keys that are known, and does nothing else; each key has one
//! algorithm. Whatever else its head says of keys (`jku`, `jwk`, `x5u`) is not looked at.

use std::{collections::HashMap, fmt};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rand,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

/// A longer token is refused unread.
const TOKEN_LIMIT_BYTES: usize = 8 << 10;

/// How far the clocks of who signs and who verifies may differ.
const LEEWAY_S: u64 = 30;

/// What a token says. All of it must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed it.
    pub iss: String,
    /// For whom it is.
    pub aud: String,
    /// Of whom it speaks: a user's id.
    pub sub: String,
    /// Seconds since the Unix epoch: not good any more from then on.
    pub exp: u64,
    /// Seconds since the Unix epoch: not good before.
    pub nbf: u64,
    /// Seconds since the Unix epoch: when it was signed.
    pub iat: u64,
}

impl Claims {
    /// That `issuer` says to `audience`, at `now_s` and for `lifetime_s` from then on, whom the token
    /// speaks of.
    pub fn new(issuer: &str, audience: &str, subject: &str, now_s: u64, lifetime_s: u64) -> Self {
        Self {
            iss: issuer.to_owned(),
            aud: audience.to_owned(),
            sub: subject.to_owned(),
            exp: now_s.saturating_add(lifetime_s),
            nbf: now_s,
            iat: now_s,
        }
    }
}

/// A key that cannot be used; says nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Ed25519 key in PKCS #8")]
pub struct KeyError;

/// Why a token is not accepted. For logs: a caller is told no more than that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // each says itself
pub enum TokenError {
    #[error("the token is longer than 8 KiB")]
    TooLong,
    #[error("no key is called as the token says")]
    UnknownKey,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not good yet")]
    Early,
    #[error("the token is not signed by its key, for another audience, or malformed")]
    Invalid,
}

/// A key pair that signs. Its `Debug` has no more than its name.
pub struct SigningKey {
    kid: String,
    key: EncodingKey,
    public: [u8; 32],
}

impl SigningKey {
    /// A new key, as PKCS #8.
    pub fn generate() -> Result<Vec<u8>, KeyError> {
        let pair = Ed25519KeyPair::generate().map_err(|_| KeyError)?;
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError)?;
        Ok(der.as_ref().to_vec())
    }

    /// The key in `pkcs8`, which tokens call `kid`.
    pub fn from_pkcs8(kid: impl Into<String>, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| KeyError)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| KeyError)?;
        Ok(Self { kid: kid.into(), key: EncodingKey::from_ed_der(pkcs8), public })
    }

    /// The key in a PEM file (`BEGIN PRIVATE KEY`), called by the thumbprint of its public half.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let body = pem
            .split_once("-----BEGIN PRIVATE KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"))
            .ok_or(KeyError)?
            .0;
        let base64: String = body.split_whitespace().collect();
        let pkcs8 = base64::prelude::BASE64_STANDARD.decode(base64).map_err(|_| KeyError)?;
        let key = Self::from_pkcs8("", &pkcs8)?;
        Ok(Self { kid: thumbprint(&key.public), ..key })
    }

    /// What tokens call this key.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey { kid: self.kid.clone(), bytes: self.public }
    }

    /// A token that says `claims`.
    pub fn sign(&self, claims: &Claims) -> Result<String, KeyError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|_| KeyError)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The public half of a key, and what tokens call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    kid: String,
    bytes: [u8; 32],
}

/// The JSON Web Key Set (RFC 7517) of these keys.
pub fn jwks(keys: &[PublicKey]) -> String {
    let keys = keys.iter().map(|key| {
        serde_json::json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "alg": "EdDSA",
            "use": "sig",
            "kid": key.kid,
            "x": BASE64_URL_SAFE_NO_PAD.encode(key.bytes),
        })
    });
    serde_json::json!({ "keys": keys.collect::<Vec<_>>() }).to_string()
}

/// A name for a key that nobody has given yet.
pub fn new_kid() -> Result<String, KeyError> {
    let mut bytes = [0; 12];
    rand::fill(&mut bytes).map_err(|_| KeyError)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// RFC 7638.
fn thumbprint(public: &[u8; 32]) -> String {
    let x = BASE64_URL_SAFE_NO_PAD.encode(public);
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, members.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(digest)
}

/// Tells good tokens from others.
#[derive(Clone)]
pub struct Verifier {
    keys: HashMap<String, DecodingKey>,
    validation: Validation,
}

impl Verifier {
    /// Accepts what `issuer` signed for `audience` with one of `keys`.
    pub fn new(keys: &[PublicKey], issuer: &str, audience: &str) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // The times are compared here: the library would ask the system for its own.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let keys = keys.iter().map(|key| (key.kid.clone(), DecodingKey::from_ed_der(&key.bytes)));
        Self { keys: keys.collect(), validation }
    }

    /// What a token says, if it is good at `now_s` seconds since the Unix epoch.
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_LIMIT_BYTES {
            return Err(TokenError::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        // RFC 7515, 4.1.11: what must be understood, and is not.
        if header.crit.is_some() || header.alg != Algorithm::EdDSA {
            return Err(TokenError::Invalid);
        }
        let key = header.kid.and_then(|kid| self.keys.get(&kid)).ok_or(TokenError::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &self.validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        if claims.exp.saturating_add(LEEWAY_S) <= now_s {
            return Err(TokenError::Expired);
        }
        if claims.nbf > now_s.saturating_add(LEEWAY_S) {
            return Err(TokenError::Early);
        }
        match claims.sub.is_empty() {
            true => Err(TokenError::Invalid),
            false => Ok(claims),
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("keys", &self.keys.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn key(kid: &str) -> SigningKey {
        SigningKey::from_pkcs8(kid, &SigningKey::generate().unwrap()).unwrap()
    }

    fn claims() -> Claims {
        Claims::new("transom", "transom", "u", NOW, 900)
    }

    fn verifier(keys: &[&SigningKey]) -> Verifier {
        let keys: Vec<_> = keys.iter().map(|key| key.public_key()).collect();
        Verifier::new(&keys, "transom", "transom")
    }

    /// A token with any head and any claims, signed by `key` with Ed25519.
    fn forged(key: &SigningKey, head: &Value, claims: &Value) -> String {
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(head), encode(claims));
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &key.key, Algorithm::EdDSA).unwrap();
        format!("{signed}.{signature}")
    }

    #[test]
    fn what_is_signed_verifies_while_it_is_good() {
        let (first, second) = (key("a"), key("b"));
        let verifier = verifier(&[&first, &second]);
        for key in [&first, &second] {
            let token = key.sign(&claims()).unwrap();
            assert_eq!(verifier.verify(&token, NOW), Ok(claims()));
            assert_eq!(verifier.verify(&token, NOW - 30), Ok(claims()));
            assert_eq!(verifier.verify(&token, NOW - 31), Err(TokenError::Early));
            assert_eq!(verifier.verify(&token, NOW + 929), Ok(claims()));
            assert_eq!(verifier.verify(&token, NOW + 930), Err(TokenError::Expired));
        }
        let unknown = key("c").sign(&claims()).unwrap();
        assert_eq!(verifier.verify(&unknown, NOW), Err(TokenError::UnknownKey));
    }

    #[test]
    fn nothing_else_does() {
        let signer = key("a");
        let verifier = verifier(&[&signer]);
        let head = json!({"alg": "EdDSA", "kid": "a", "typ": "JWT"});
        let good = serde_json::to_value(claims()).unwrap();
        let with = |of: &Value, name: &str, value: Value| {
            let mut changed = of.clone();
            changed[name] = value;
            changed
        };
        let without = |name: &str| {
            let mut changed = good.clone();
            changed.as_object_mut().unwrap().remove(name);
            changed
        };
        assert!(verifier.verify(&forged(&signer, &head, &good), NOW).is_ok());
        let heads = [
            with(&head, "alg", json!("none")),
            with(&head, "alg", json!("HS256")),
            with(&head, "alg", json!("ES256")),
            with(&head, "kid", json!("../../dev/null")),
            with(&head, "kid", json!("")),
            with(&head, "crit", json!(["exp"])),
            json!({"alg": "EdDSA"}),
        ];
        for head in heads {
            assert!(verifier.verify(&forged(&signer, &head, &good), NOW).is_err(), "{head}");
        }
        let wrong = [
            with(&good, "iss", json!("another")),
            with(&good, "aud", json!("another")),
            with(&good, "sub", json!("")),
            with(&good, "exp", json!((NOW + 900).to_string())),
            with(&good, "nbf", json!((NOW + 900).to_string())),
            with(&good, "exp", json!(-1)),
            json!([]),
        ];
        let missing = ["iss", "aud", "sub", "exp", "nbf"].map(without);
        for claims in wrong.iter().chain(&missing) {
            assert!(verifier.verify(&forged(&signer, &head, claims), NOW).is_err(), "{claims}");
        }
        let another = forged(&key("a"), &head, &good);
        assert_eq!(verifier.verify(&another, NOW), Err(TokenError::Invalid), "another's key");
        // A public key is no secret that signs.
        let public = EncodingKey::from_secret(&signer.public);
        let mut hs = Header::new(Algorithm::HS256);
        hs.kid = Some("a".into());
        let confused = jsonwebtoken::encode(&hs, &claims(), &public).unwrap();
        assert_eq!(verifier.verify(&confused, NOW), Err(TokenError::Invalid));

        let long = "a".repeat(1 << 20);
        assert_eq!(verifier.verify(&long, NOW), Err(TokenError::TooLong));
        let token = signer.sign(&claims()).unwrap();
        let unsigned = &token[..=token.rfind('.').unwrap()];
        for garbage in ["", ".", "..", "a.b.c", "Bearer", unsigned, &token[1..], &token[..40]] {
            assert!(verifier.verify(garbage, NOW).is_err(), "{garbage}");
        }
    }

    #[test]
    fn a_key_set_has_public_halves_alone() {
        let signer = key("a");
        let set: Value = serde_json::from_str(&jwks(&[signer.public_key()])).unwrap();
        let x = BASE64_URL_SAFE_NO_PAD.encode(signer.public);
        let expected = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
            "kid": "a", "x": x});
        assert_eq!(set, json!({ "keys": [expected] }));
        assert!(!format!("{signer:?}").contains("key:"), "{signer:?}");
    }

    #[test]
    fn a_key_comes_from_pem_and_is_called_by_its_thumbprint() {
        // RFC 8037, appendix A: its key in PKCS #8, and its thumbprint.
        let seed =
            BASE64_URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let mut pkcs8 =
            vec![0x30, 0x2E, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20];
        pkcs8.extend(seed);
        let base64 = base64::prelude::BASE64_STANDARD.encode(&pkcs8);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n");
        let signer = SigningKey::from_pem(&pem).unwrap();
        assert_eq!(signer.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert!(verifier(&[&signer]).verify(&signer.sign(&claims()).unwrap(), NOW).is_ok());
        for wrong in ["", "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----", &base64] {
            assert_eq!(SigningKey::from_pem(wrong).err(), Some(KeyError));
        }
    }
}
