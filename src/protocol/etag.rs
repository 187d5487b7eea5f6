//! `ETag` and `If-None-Match`: answers that a caller need not be sent again (RFC 9110, 8.8.3 and
//! 13.1.2).
//!
//! A tag is made of the answer's bytes, so that every process of every version makes the same one,
//! without state. It is weak: what it promises is the same message in the same JSON, not what a
//! layer around the gateway makes of it (a content coding).

use http::{HeaderMap, HeaderValue, header};

use super::values;

/// The tag of an answer of these bytes: their XXH64.
///
/// The hash is no secret and no signature: whoever can make an answer collide with another has
/// written both.
pub fn of(content_type: &[u8], body: &[u8]) -> HeaderValue {
    let mut tag = *b"W/\"0000000000000000\"";
    // The same bytes under another type are another answer.
    let mut hash = xxh64(xxh64(0, content_type), body);
    for digit in tag[3..19].iter_mut().rev() {
        *digit = b"0123456789abcdef"[(hash & 15) as usize];
        hash >>= 4;
    }
    HeaderValue::from_bytes(&tag).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Whether the caller has the answer with this tag already, by `If-None-Match`: `*`, or a list in
/// which it is by weak comparison. What cannot be read is in no list.
pub fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let wanted = opaque(tag.as_bytes());
    let mut lists = values(headers, header::IF_NONE_MATCH).map(HeaderValue::as_bytes);
    lists.any(|list| list.trim_ascii() == b"*" || tags(list).any(|tag| Some(tag) == wanted))
}

/// What stands between the quotes of a tag, weak or not.
fn opaque(tag: &[u8]) -> Option<&[u8]> {
    tags(tag).next()
}

/// The tags of a list, each without quotes. They may have commas in them.
fn tags(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let begin = list.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','))?;
        list = &list[begin..];
        list = list.strip_prefix(b"W/").unwrap_or(list).strip_prefix(b"\"")?;
        let end = list.iter().position(|byte| *byte == b'"')?;
        let tag = &list[..end];
        list = &list[end + 1..];
        Some(tag)
    })
}

const PRIMES: [u64; 5] = [
    0x9e37_79b1_85eb_ca87,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x85eb_ca77_c2b2_ae63,
    0x27d4_eb2f_1656_67c5,
];

/// XXH64, as its specification has it: eight bytes in a few cycles, and the same everywhere.
fn xxh64(seed: u64, data: &[u8]) -> u64 {
    let (stripes, rest) = data.as_chunks::<32>();
    let mut hash = seed.wrapping_add(PRIMES[4]);
    if !stripes.is_empty() {
        let mut lanes = [
            seed.wrapping_add(PRIMES[0]).wrapping_add(PRIMES[1]),
            seed.wrapping_add(PRIMES[1]),
            seed,
            seed.wrapping_sub(PRIMES[0]),
        ];
        for stripe in stripes {
            let (words, _) = stripe.as_chunks::<8>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = round(*lane, u64::from_le_bytes(*word));
            }
        }
        let turns = [1, 7, 12, 18];
        let turned = lanes.iter().zip(turns).map(|(lane, turn)| lane.rotate_left(turn));
        hash = turned.fold(0, u64::wrapping_add);
        for lane in lanes {
            hash = (hash ^ round(0, lane)).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
        }
    }
    hash = hash.wrapping_add(data.len() as u64);
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        hash ^= round(0, u64::from_le_bytes(*word));
        hash = hash.rotate_left(27).wrapping_mul(PRIMES[0]).wrapping_add(PRIMES[3]);
    }
    let (halves, rest) = rest.as_chunks::<4>();
    for half in halves {
        hash ^= u64::from(u32::from_le_bytes(*half)).wrapping_mul(PRIMES[0]);
        hash = hash.rotate_left(23).wrapping_mul(PRIMES[1]).wrapping_add(PRIMES[2]);
    }
    for byte in rest {
        hash ^= u64::from(*byte).wrapping_mul(PRIMES[4]);
        hash = hash.rotate_left(11).wrapping_mul(PRIMES[0]);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(PRIMES[1]);
    hash = (hash ^ hash >> 29).wrapping_mul(PRIMES[2]);
    hash ^ hash >> 32
}

fn round(lane: u64, word: u64) -> u64 {
    let lane = lane.wrapping_add(word.wrapping_mul(PRIMES[1]));
    lane.rotate_left(31).wrapping_mul(PRIMES[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        for (seed, text, hash) in [
            (0, "", 0xef46_db37_51d8_e999_u64),
            (0, "a", 0xd24e_c4f1_a98c_6e5b),
            (0, "abc", 0x44bc_2cf5_ad77_0999),
            (0, "Nobody inspects the spammish repetition", 0xfbce_a83c_8a37_8bf1),
            (20_141_025, "xxhash", 0xb559_b98d_844e_0635),
        ] {
            assert_eq!(xxh64(seed, text.as_bytes()), hash, "{text}");
        }
    }

    #[test]
    fn a_tag_is_of_the_bytes_and_their_type() {
        let tag = of(b"application/json", b"{}");
        assert_eq!(tag, of(b"application/json", b"{}"));
        assert_ne!(tag, of(b"application/json", b"{ }"));
        assert_ne!(tag, of(b"text/plain", b"{}"));
        let text = tag.to_str().unwrap();
        assert!(text.starts_with("W/\"") && text.ends_with('"') && text.len() == 20, "{text}");
    }

    #[test]
    fn a_known_tag_is_found_however_it_is_listed() {
        let is_known = |lists: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for list in lists {
                headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(list));
            }
            is_known(&headers, &HeaderValue::from_static("W/\"a,b\""))
        };
        for known in [
            &["W/\"a,b\""][..],
            &["\"a,b\""],
            &["*"],
            &[" * "],
            &["\"x\", W/\"a,b\""],
            &["\"x\",,\"a,b\""],
            &["\"x\"", "\"a,b\""],
        ] {
            assert!(is_known(known), "{known:?}");
        }
        for unknown in
            [&[][..], &[""], &["\"a\""], &["a,b"], &["w/\"a,b\""], &["\"x\" *"], &["\"a,b"]]
        {
            assert!(!is_known(unknown), "{unknown:?}");
        }
    }
}
