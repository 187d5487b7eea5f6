//! argon2id itself: hashes and comparisons, in memory that is used again. Allocated for each hash
//! anew, 19 MiB would stay with each of the threads that ever hashed one.

use std::sync::{Mutex, PoisonError};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use aws_lc_rs::rand;

use super::Verdict;

/// What a password is compared with where there is none: to tell that costs as much.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IG9yIG90aGVy$\
                       AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

const SALT_BYTES: usize = 16;

/// Working memory: as many pieces as hashes were ever computed at once.
#[derive(Default)]
pub(super) struct Memory(Mutex<Vec<Vec<Block>>>);

/// The PHC string of a password, with a salt of its own. None if that fails.
pub(super) fn hash(password: &[u8], memory: &Memory) -> Option<String> {
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt).ok()?;
    let argon2 = todays();
    let hash = memory.compute(&argon2, password, &salt)?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params()).ok()?,
        salt: Some(Salt::new(&salt).ok()?),
        hash: Some(hash),
    };
    Some(phc.to_string())
}

/// Compares a password with a PHC string, or with nobody's. None if that fails.
pub(super) fn verify(password: &[u8], phc: Option<&str>, memory: &Memory) -> Option<Verdict> {
    let known = phc.filter(|phc| !phc.is_empty());
    let phc = PasswordHash::new(known.unwrap_or(NOBODYS)).ok()?;
    let algorithm = Algorithm::try_from(phc.algorithm.as_str()).ok()?;
    let version = phc.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
    let params = Params::try_from(&phc).ok()?;
    let argon2 = Argon2::new(algorithm, version, params);
    let hash = memory.compute(&argon2, password, phc.salt.as_ref()?)?;
    let costs = |argon2: &Argon2<'_>| {
        let params = argon2.params();
        (params.m_cost(), params.t_cost(), params.p_cost())
    };
    Some(Verdict {
        // In the same time wherever they differ.
        matches: phc.hash.is_some_and(|kept| kept == hash) && known.is_some(),
        is_outdated: algorithm != Algorithm::Argon2id || costs(&argon2) != costs(&todays()),
    })
}

impl Memory {
    fn compute(&self, argon2: &Argon2<'_>, password: &[u8], salt: &[u8]) -> Option<Output> {
        let pieces = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = pieces().pop().unwrap_or_default();
        let needed = argon2.params().block_count();
        if blocks.len() < needed {
            blocks.resize(needed, Block::default());
        }
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        let computed =
            argon2.hash_password_into_with_memory(password, salt, &mut output, &mut blocks);
        pieces().push(blocks);
        computed.ok()?;
        Output::new(&output).ok()
    }
}

/// With OWASP's parameters: m = 19,456 KiB, t = 2, p = 1.
fn todays() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHasher as _, PasswordVerifier as _};

    use super::*;

    /// The library's own way of both, in memory of its own.
    #[test]
    fn hashes_are_those_of_the_library() {
        let memory = Memory::default();
        for password in ["correct horse", "another", "correct horse"] {
            let phc = hash(password.as_bytes(), &memory).unwrap();
            let parsed = PasswordHash::new(&phc).unwrap();
            assert!(todays().verify_password(password.as_bytes(), &parsed).is_ok());
            assert!(todays().verify_password(b"wrong", &parsed).is_err());
            let theirs = todays().hash_password(password.as_bytes()).unwrap().to_string();
            let expected = Verdict { matches: true, is_outdated: false };
            assert_eq!(verify(password.as_bytes(), Some(&theirs), &memory), Some(expected));
            assert!(!verify(b"wrong", Some(&theirs), &memory).unwrap().matches);
        }
        assert_eq!(memory.0.lock().unwrap().len(), 1, "one after the other needs one piece");
    }

    #[test]
    fn other_parameters_are_outdated_and_verify() {
        let memory = Memory::default();
        for (m, t, p) in [(8_192, 1, 1), (19_456, 3, 1), (32_768, 2, 2)] {
            let params = Params::new(m, t, p, None).unwrap();
            let other = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let phc = other.hash_password(b"correct horse").unwrap().to_string();
            let expected = Verdict { matches: true, is_outdated: true };
            assert_eq!(verify(b"correct horse", Some(&phc), &memory), Some(expected), "{m} {t}");
        }
        for nonsense in ["x", "$argon2id$v=19$m=1,t=1,p=1$YQ$YQ", "$2b$10$x"] {
            assert_eq!(verify(b"correct horse", Some(nonsense), &memory), None, "{nonsense}");
        }
    }
}
