//! Compression of messages: what a caller names, and bytes both ways.
//!
//! Few bytes can stand for many, so reading stops at a limit of what comes out.

use std::io::{self, Read as _, Write as _};

use flate2::{bufread::MultiGzDecoder, write};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::status::{Cause, Refusal};

/// What is served, as headers list it.
pub const LIST: &str = "gzip, br, zstd";

/// Shorter replies are not worth it.
pub const COMPRESS_FROM_BYTES: usize = 1 << 10;

/// Of the first byte of a brotli stream, the bits that can say its window, and what they are where
/// it is larger than 16 MiB: an extension.
const BROTLI_WINDOW_BITS: u8 = 0x7f;
const BROTLI_LARGE_WINDOW: u8 = 0x11;

/// A window is memory, reserved before anything comes out. 8 MiB is what RFC 8878 asks of everybody.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952.
    Gzip,
    /// Brotli, RFC 7932.
    Br,
    /// Zstandard, RFC 8878.
    Zstd,
}

/// Compressed bytes that do not become a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// There is more in them than may be.
    #[error("a compressed message holds more than the limit of {0} bytes")]
    TooLarge(usize),
    /// They are not of their encoding.
    #[error("a compressed message is not valid {0}")]
    Corrupt(&'static str),
}

impl DecompressError {
    /// The refusal of a request that has such bytes in it.
    pub fn of_request(self) -> Refusal {
        let cause = match self {
            Self::TooLarge(_) => Cause::RequestTooLarge,
            Self::Corrupt(_) => Cause::Malformed,
        };
        Refusal::new(cause, self.to_string())
    }
}

impl Encoding {
    /// The encoding of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Gzip, Self::Br, Self::Zstd]
            .into_iter()
            .find(|encoding| name.eq_ignore_ascii_case(encoding.name()))
    }

    /// Its name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Br => "br",
            Self::Zstd => "zstd",
        }
    }

    /// What `bytes` hold, if that is no more than `limit` bytes. Nothing is nothing.
    pub fn decompress(self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        let mut out = Vec::with_capacity(bytes.len().saturating_mul(2).min(limit));
        // One more than may be tells that there is more.
        let most = (limit as u64).saturating_add(1);
        let read = match self {
            Self::Gzip => MultiGzDecoder::new(bytes).take(most).read_to_end(&mut out),
            // A window of up to a GiB is filled before a byte comes out; RFC 7932 knows none such.
            Self::Br if bytes[0] & BROTLI_WINDOW_BITS == BROTLI_LARGE_WINDOW => {
                return Err(DecompressError::Corrupt(self.name()));
            }
            Self::Br => brotli::Decompressor::new(bytes, 4 << 10).take(most).read_to_end(&mut out),
            Self::Zstd => {
                zstd::stream::read::Decoder::with_buffer(bytes).and_then(|mut decoder| {
                    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                    decoder.take(most).read_to_end(&mut out)
                })
            }
        };
        match read {
            Ok(_) if out.len() > limit => Err(DecompressError::TooLarge(limit)),
            Ok(_) => Ok(out),
            Err(_) => Err(DecompressError::Corrupt(self.name())),
        }
    }

    /// Refuses `bytes` that hold more than `limit` bytes, keeping nothing of what is in them.
    pub fn measure(self, bytes: &[u8], limit: usize) -> Result<(), DecompressError> {
        if self != Self::Gzip {
            return self.decompress(bytes, limit).map(|_| ());
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let mut out = MultiGzDecoder::new(bytes).take((limit as u64).saturating_add(1));
        match io::copy(&mut out, &mut io::sink()) {
            Ok(length) if length > limit as u64 => Err(DecompressError::TooLarge(limit)),
            Ok(_) => Ok(()),
            Err(_) => Err(DecompressError::Corrupt(self.name())),
        }
    }

    /// `bytes`, compressed quickly rather than well: a caller is waiting.
    pub fn compress(self, bytes: &[u8]) -> Vec<u8> {
        const BROTLI_QUALITY: i32 = 4;
        const BROTLI_WINDOW_LOG: i32 = 19;
        let mut out = Vec::with_capacity(bytes.len() / 2 + 64);
        // Writing into memory does not fail.
        let _: io::Result<()> = match self {
            Self::Gzip => {
                let mut encoder = write::GzEncoder::new(&mut out, flate2::Compression::fast());
                encoder.write_all(bytes).and_then(|()| encoder.try_finish())
            }
            Self::Br => {
                let parameters = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: BROTLI_WINDOW_LOG,
                    ..Default::default()
                };
                brotli::BrotliCompress(&mut { bytes }, &mut out, &parameters).map(|_| ())
            }
            Self::Zstd => zstd::stream::copy_encode(bytes, &mut out, 1),
        };
        out
    }
}

/// The compression that the header `name` says the request has; None for none. Refuses others,
/// telling those that are served in the header `accepts`.
pub fn of_request(
    headers: &HeaderMap,
    name: &HeaderName,
    accepts: &HeaderName,
) -> Result<Option<Encoding>, Refusal> {
    match headers.get(name) {
        None => Ok(None),
        Some(value) => named(value.as_bytes(), accepts),
    }
}

/// The compression of this name, or none. Refuses others as [`of_request`] does.
pub fn named(name: &[u8], accepts: &HeaderName) -> Result<Option<Encoding>, Refusal> {
    let text = String::from_utf8_lossy(name.trim_ascii());
    if text.is_empty() || text.eq_ignore_ascii_case("identity") {
        return Ok(None);
    }
    if let Some(encoding) = Encoding::named(&text) {
        return Ok(Some(encoding));
    }
    let message = format!("encoding {text} is not served: use identity, {LIST}");
    Err(Refusal::new(Cause::UnknownEncoding, message)
        .with_header(accepts.clone(), HeaderValue::from_static(LIST)))
}

/// The first encoding in the list `name` that is served, and that the caller does not rule out.
pub fn accepted(headers: &HeaderMap, name: &HeaderName) -> Option<Encoding> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).find_map(|item| {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.trim().strip_prefix("q=").map(str::parse::<f32>);
        let is_ruled_out = weight.is_some_and(|weight| weight.is_ok_and(|weight| weight <= 0.0));
        Encoding::named(coding.trim()).filter(|_| !is_ruled_out)
    })
}

/// A body that is one run of gzip, read piece by piece.
pub struct GzipBody(write::MultiGzDecoder<Vec<u8>>);

impl Default for GzipBody {
    fn default() -> Self {
        Self(write::MultiGzDecoder::new(Vec::new()))
    }
}

/// A body is not gzip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is not gzip")]
pub struct NotGzip;

impl GzipBody {
    /// So many bytes at once become no more than a MiB.
    pub const PIECE_BYTES: usize = 1 << 10;

    /// What comes out with this piece.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<u8>, NotGzip> {
        self.0.write_all(piece).and_then(|()| self.0.flush()).map_err(|_| NotGzip)?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    /// Checks that the body ends where gzip does.
    pub fn finish(&mut self) -> Result<Vec<u8>, NotGzip> {
        self.0.try_finish().map_err(|_| NotGzip)?;
        Ok(std::mem::take(self.0.get_mut()))
    }
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    const ALL: [Encoding; 3] = [Encoding::Gzip, Encoding::Br, Encoding::Zstd];

    #[test]
    fn what_is_compressed_comes_out_again() {
        for encoding in ALL {
            for bytes in [b"".to_vec(), b"x".to_vec(), b"abc".repeat(10_000)] {
                let compressed = encoding.compress(&bytes);
                assert_eq!(encoding.measure(&compressed, bytes.len()), Ok(()));
                assert_eq!(encoding.decompress(&compressed, bytes.len()), Ok(bytes));
            }
            assert!(encoding.compress(&[7; 10_000]).len() < 200, "{encoding:?}");
        }
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let mebibytes = vec![0; 16 << 20];
        for encoding in ALL {
            let bomb = encoding.compress(&mebibytes);
            assert!(bomb.len() < 100_000, "{encoding:?} {}", bomb.len());
            let error = DecompressError::TooLarge(1_000);
            assert_eq!(encoding.decompress(&bomb, 1_000), Err(error));
            assert_eq!(encoding.measure(&bomb, 1_000), Err(error));
            let allocated = allocation_counter::measure(|| {
                assert!(encoding.decompress(&bomb, 1_000).is_err());
            });
            assert!(allocated.bytes_max < 9 << 20, "{encoding:?} {}", allocated.bytes_max);
        }
    }

    #[test]
    fn what_is_no_compressed_message_is_refused() {
        for encoding in ALL {
            let whole = encoding.compress(&b"abc".repeat(1_000));
            let garbage = Err(DecompressError::Corrupt(encoding.name()));
            assert_eq!(encoding.decompress(b"\xff\xff nonsense", 100), garbage);
            assert_eq!(encoding.decompress(&whole[..whole.len() - 1], 10_000), garbage);
        }
    }

    #[test]
    fn a_huge_zstd_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&[1; 100]).unwrap();
        let frame = encoder.finish().unwrap();
        assert_eq!(Encoding::Zstd.decompress(&frame, 1_000), Err(DecompressError::Corrupt("zstd")));
    }

    #[test]
    fn the_first_that_is_served_is_accepted() {
        for (value, encoding) in [
            ("gzip", Some(Encoding::Gzip)),
            ("deflate, br;q=1.0, gzip", Some(Encoding::Br)),
            ("gzip;q=0, ZSTD", Some(Encoding::Zstd)),
            ("identity", None),
            ("*", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(
                header::ACCEPT_ENCODING,
                HeaderValue::from_str(value).unwrap(),
            )]);
            assert_eq!(accepted(&headers, &header::ACCEPT_ENCODING), encoding, "{value}");
        }
    }

    #[test]
    fn a_gzip_body_is_read_in_pieces() {
        let whole = b"abc".repeat(5_000);
        let compressed = Encoding::Gzip.compress(&whole);
        let (mut body, mut out) = (GzipBody::default(), Vec::new());
        for piece in compressed.chunks(7) {
            out.extend(body.push(piece).unwrap());
        }
        out.extend(body.finish().unwrap());
        assert_eq!(out, whole);
        let mut cut = GzipBody::default();
        cut.push(&compressed[..compressed.len() - 1]).unwrap();
        assert_eq!(cut.finish(), Err(NotGzip));
        assert_eq!(GzipBody::default().push(b"not gzip at all"), Err(NotGzip));
    }

    #[test]
    fn brotli_with_a_window_of_its_own_size_is_refused() {
        let parameters = brotli::enc::BrotliEncoderParams {
            large_window: true,
            lgwin: 28,
            ..Default::default()
        };
        let mut large = Vec::new();
        brotli::BrotliCompress(&mut &[0; 1000][..], &mut large, &parameters).unwrap();
        let refused = Encoding::Br.decompress(&large, 1 << 20);
        assert_eq!(refused, Err(DecompressError::Corrupt("br")));
        let usual = Encoding::Br.compress(&[0; 1000]);
        assert_eq!(Encoding::Br.decompress(&usual, 1 << 20), Ok(vec![0; 1000]));
    }
}
