//! The messages that are measured: written down as JSON, encoded by generated code.

use std::fmt::Write as _;

use crate::{Generated, generated};

/// One message to measure.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What it is an example of: `small_user`.
    pub name: &'static str,
    /// Its type and the generated code of that.
    pub generated: Generated,
    /// Its JSON, in the spelling of the specification.
    pub json: Vec<u8>,
    /// Its encoding.
    pub wire: Vec<u8>,
}

/// Every sample, the same in each run.
pub fn samples() -> Vec<Sample> {
    vec![
        sample("small_user", "user.v1.User", &[SMALL_USER.to_owned()]),
        sample("users_1000", "bench.v1.Users", &[users(1_000)]),
        sample("deep_tree", "bench.v1.Tree", &[tree(45)]),
        sample("log_record", "bench.v1.LogRecord", &[log_record()]),
        sample("numbers", "bench.v1.Measurements", &[numbers()]),
        sample("bytes", "bench.v1.Document", &[bytes()]),
        sample("maps", "bench.v1.Index", &maps()),
        sample("every_kind", "bench.v1.Kinds", &[every_kind()]),
    ]
}

/// A message whose JSON is the members of all `parts`. Generated code keeps maps in an order that
/// changes from run to run; so a message with maps comes in parts of one entry each, and its
/// encoding is theirs, one behind the other.
#[expect(clippy::expect_used, reason = "the samples are constants, and a test reads each")]
fn sample(name: &'static str, message: &'static str, parts: &[String]) -> Sample {
    let generated = generated(message).expect("the message has generated code");
    let mut wire = Vec::new();
    for part in parts {
        (generated.json_to_wire)(part.as_bytes(), &mut wire).expect("the sample is its message");
    }
    let json = match parts {
        [whole] => whole.clone(),
        parts => join(parts),
    };
    Sample { name, generated, json: json.into_bytes(), wire }
}

/// `{"a":{X}}`, `{"a":{Y}}`, `{"b":{Z}}` → `{"a":{X,Y},"b":{Z}}`.
fn join(parts: &[String]) -> String {
    let mut json = String::from("{");
    let mut last = "";
    for part in parts {
        let Some((head, entry)) = part.split_once(":{") else { continue };
        if head == last {
            json.push(',');
        } else {
            json.push_str(if last.is_empty() { "" } else { "}," });
            json.push_str(&head[1..]);
            json.push_str(":{");
            last = head;
        }
        json.push_str(&entry[..entry.len() - 2]);
    }
    json + "}}"
}

/// What the bundled service answers to most calls.
const SMALL_USER: &str = concat!(
    r#"{"id":"01a1fedd-ecbd-7024-907d-e47e26f7c097","email":"ada@ex.org","name":"Ada","#,
    r#""status":"USER_STATUS_ACTIVE","createdAt":"2026-11-21T16:08:39.357Z"}"#
);

fn user(n: usize) -> String {
    let status = if n.is_multiple_of(7) { "INACTIVE" } else { "ACTIVE" };
    format!(
        r#"{{"id":"01a1fedd-ecbd-7024-907d-{n:012x}","email":"u{n}@ex.org","name":"User {n}","status":"USER_STATUS_{status}","createdAt":"2026-11-{:02}T{:02}:{:02}:39.{:03}Z"}}"#,
        n % 28 + 1,
        n % 24,
        n % 60,
        n % 999 + 1,
    )
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn users(count: usize) -> String {
    format!(r#"{{"users":{}}}"#, list((0..count).map(user)))
}

/// A chain of `depth` nodes, each with a leaf beside the next. JSON nests twice as deep.
fn tree(depth: usize) -> String {
    let leaf = |n: usize| format!(r#"{{"name":"leaf {n}","weight":{n}}}"#);
    let start = r#"{"name":"end"}"#.to_owned();
    (0..depth).fold(start, |next, n| {
        format!(r#"{{"name":"node {n}","weight":-{},"children":[{},{next}]}}"#, n + 1, leaf(n + 1))
    })
}

fn log_record() -> String {
    let frame = |n: usize| {
        format!(
            r#""at orders.checkout.Basket.total(Basket.java:{})\n\tin worker-{n} \u00b7 \"retry\" {n}/8""#,
            100 + n * 17
        )
    };
    let attribute = |(key, value): (&str, &str)| format!(r#"{{"key":"{key}","value":"{value}"}}"#);
    let attributes = [
        ("http.request.method", "POST"),
        ("http.response.status_code", "502"),
        ("url.path", "/v1/orders/01a1fedd-ecbd-7024-907d-e47e26f7c097:checkout"),
        ("client.address", "2001:db8:85a3::8a2e:370:7334"),
        ("user.name", "Žofie Nováková"),
        ("city", "São Paulo"),
        ("note", "数量が在庫を超えています 🚚"),
        ("sql", "SELECT \\\"id\\\", \\\"total\\\" FROM orders\\nWHERE id = $1"),
        ("thread.name", "checkout-worker-3"),
        ("deployment.environment.name", "production"),
    ];
    format!(
        r#"{{"time":"2026-11-21T16:08:39.357037Z","severity":"SEVERITY_ERROR","serviceName":"checkout","message":"upstream \"payments\" refused: Zahlung fehlgeschlagen – Betrag übersteigt Limit (€ 1.250,00)\nsee C:\\logs\\payments.log","requestTarget":"/v1/orders/01a1fedd-ecbd-7024-907d-e47e26f7c097:checkout?currency=EUR&retry=true&campaign=autumn-2026","userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36","traceId":"4bf92f3577b34da6a3ce929d0e0e4736","stack":{},"attributes":{}}}"#,
        list((0..8).map(frame)),
        list(attributes.into_iter().map(attribute)),
    )
}

/// Numbers that look like noise and are the same in each run: Knuth's MMIX generator.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        self.0 >> 11
    }

    /// Between -1,000 and 1,000, with all the digits a double can have.
    fn real(&mut self) -> f64 {
        (self.next() as f64 / (1_u64 << 53) as f64 - 0.5) * 2_000.0
    }
}

fn numbers() -> String {
    let mut noise = Noise(2026);
    let mut json = String::from(
        r#"{"deviceId":"9007199254740993","mean":-12.062519,"deviation":3.5,"count":4000000000,"offset":"-1234567890123","checksum":"18446744073709551615","complete":true"#,
    );
    let mut field = |name: &str, count: usize, element: &mut dyn FnMut() -> String| {
        let elements = list((0..count).map(|_| element()));
        // A String grows: writing into one cannot fail.
        let _ = write!(json, r#","{name}":{elements}"#);
    };
    field("samples", 200, &mut || noise.real().to_string());
    field("weights", 50, &mut || (noise.real() as f32).to_string());
    field("times", 200, &mut || {
        format!(r#""{}""#, 1_763_741_319_357_037 + noise.next() % 1_000_000)
    });
    field("deltas", 200, &mut || {
        (noise.next() % 2_000).cast_signed().wrapping_sub(1_000).to_string()
    });
    field("counters", 200, &mut || (noise.next() as u32).to_string());
    field("hashes", 100, &mut || format!(r#""{}""#, noise.next() << 11));
    field("flags", 50, &mut || noise.next().is_multiple_of(2).to_string());
    const SEVERITIES: [&str; 4] = ["DEBUG", "INFO", "WARNING", "ERROR"];
    field("severities", 100, &mut || {
        format!(r#""SEVERITY_{}""#, SEVERITIES[noise.next() as usize % 4])
    });
    json + "}"
}

fn bytes() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut noise = Noise(64);
    // `count` whole groups of three bytes.
    let mut base64 = |groups: usize| -> String {
        (0..groups * 4).map(|_| char::from(ALPHABET[noise.next() as usize % 64])).collect()
    };
    format!(
        r#"{{"name":"report.pdf","digest":"{}AA==","content":"{}","pages":{}}}"#,
        base64(5),
        base64(5_460),
        list((1..=16).map(|n| format!(r#""{}""#, base64(n * 20)))),
    )
}

fn maps() -> Vec<String> {
    const SEVERITIES: [&str; 4] = ["DEBUG", "INFO", "WARNING", "ERROR"];
    let labels =
        (0..100).map(|n| format!(r#"{{"labels":{{"label.example.com/{n}":"value {n}"}}}}"#));
    let counts = (0..100).map(|n| format!(r#"{{"counts":{{"shelf-{n}":"{}"}}}}"#, n * 1_000 + 7));
    let users = (0..30).map(|n| format!(r#"{{"users":{{"{}":{}}}}}"#, n as i32 - 15, user(n)));
    let severities = (0..50).map(|n| {
        let severity = SEVERITIES[n % 4];
        format!(r#"{{"severities":{{"{}":"SEVERITY_{severity}"}}}}"#, u64::MAX - n as u64)
    });
    labels.chain(counts).chain(users).chain(severities).collect()
}

/// Each field once, in order, each map with one entry.
fn every_kind() -> String {
    [
        r#"{"real":0.1,"smallReal":-2.5,"signed":-2147483648,"bigSigned":"-9223372036854775808","#,
        r#""unsigned":4294967295,"bigUnsigned":"18446744073709551615","zigzag":-1,"bigZigzag":"-2","#,
        r#""fixed":3,"bigFixed":"4","signedFixed":-5,"bigSignedFixed":"-6","flag":true,"#,
        r#""text":"é\n\u0001\"\\/","blob":"AP8=","severity":"SEVERITY_INFO","#,
        r#""child":{"text":"x","child":{}},"maybeSigned":0,"maybeText":"","maybeBlob":"","#,
        r#""maybeFlag":false,"maybeReal":0.0,"maybeSeverity":"SEVERITY_UNSPECIFIED","#,
        r#""middle":{"left":""},"reals":[1.5,1e300],"signeds":[-1,0,1],"#,
        r#""bigSigneds":["1"],"bigZigzags":["-1"],"fixeds":[7],"flags":[true,false],"#,
        r#""texts":["","a"],"blobs":["","AQID"],"severities":["SEVERITY_DEBUG"],"#,
        r#""children":[{},{"flag":true}],"unpacked":[1,300],"textByText":{"k":"v"},"#,
        r#""bigBySigned":{"-1":"1"},"realByBig":{"-2":0.5},"blobByUnsigned":{"3":"AQ=="},"#,
        r#""severityByBig":{"4":"SEVERITY_ERROR"},"flagByZigzag":{"-5":false},"#,
        r#""childByFixed":{"6":{"text":"y"}},"realByFlag":{"true":1.25},"#,
        r#""at":"2026-01-02T03:04:05.006Z","takes":"-1.500s","#,
        r#""open":{"x":[null,1.5,"y",true,{"z":{}}]},"value":[{"a":"b"}],"list":[1.0,[2.0]],"#,
        r#""wrappedReal":1.5,"wrappedSmallReal":2.5,"wrappedBig":"-1","wrappedHuge":"1","#,
        r#""wrappedSigned":-1,"wrappedUnsigned":1,"wrappedFlag":false,"wrappedText":"","#,
        r#""wrappedBlob":"AQ==","ats":["1970-01-01T00:00:00Z"]}"#,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_what_generated_code_writes_too() {
        for sample in samples() {
            let mut json = Vec::new();
            (sample.generated.wire_to_json)(&sample.wire, &mut json).unwrap();
            // The one difference: how pbjson writes the offset of a timestamp.
            let json = String::from_utf8(json).unwrap().replace("+00:00", "Z");
            let written: serde_json::Value = serde_json::from_str(&json).unwrap();
            let read: serde_json::Value = serde_json::from_slice(&sample.json).unwrap();
            assert_eq!(written, read, "{}", sample.name);
        }
    }

    #[test]
    fn samples_are_of_the_sizes_they_are_made_for() {
        let samples = samples();
        let bytes = |name| samples.iter().find(|s| s.name == name).unwrap().json.len();
        assert_eq!(bytes("small_user"), SMALL_USER.len());
        assert!((140..150).contains(&bytes("small_user")));
        assert!((140_000..160_000).contains(&bytes("users_1000")));
    }
}
