//! Transom's transcoder under Google's protobuf conformance suite: reads one `ConformanceRequest`
//! after the other from stdin, and answers each with a `ConformanceResponse` on stdout.
//!
//! `tests/run conformance` starts it under the suite's runner. It also shows all that the
//! transcoder needs: descriptor bytes, a message's name, and bytes to convert.

use std::{
    error::Error,
    fs,
    io::{self, Read, Write as _},
    sync::Arc,
};

use prost::Message as _;
use transom::{
    schema::Schema,
    transcoding::{ReadOptions, Transcoder, WireFault, WriteOptions},
};

fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "an example is its own cli")]
    let descriptor_set = std::env::var("CONFORMANCE_DESCRIPTOR_SET")?;
    let schema = Arc::new(Schema::from_descriptor_set(fs::read(descriptor_set)?)?);
    let transcoder = Transcoder::new(schema)?;

    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    while let Some(request) = read_envelope(&mut stdin)? {
        let result = answer(&transcoder, &Request::decode(&*request)?);
        let response = Response { result: Some(result) }.encode_to_vec();
        stdout.write_all(&u32::try_from(response.len())?.to_le_bytes())?;
        stdout.write_all(&response)?;
        stdout.flush()?;
    }
    Ok(())
}

/// The next message, None at the end of the input.
fn read_envelope(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut message = vec![0; u32::from_le_bytes(length) as usize];
    input.read_exact(&mut message)?;
    Ok(Some(message))
}

fn answer(transcoder: &Transcoder, request: &Request) -> Outcome {
    let output = request.requested_output_format();
    let (Some(payload), WireFormat::Protobuf | WireFormat::Json) = (&request.payload, output)
    else {
        return Outcome::Skipped("no format but protobuf and JSON".to_owned());
    };
    if matches!(payload, Payload::Protobuf(_)) && output == WireFormat::Protobuf {
        return Outcome::Skipped("a transcoder has JSON on one side".to_owned());
    }
    let Some(message) = transcoder.schema().message_by_name(&request.message_type) else {
        return Outcome::RuntimeError(format!("no message is called {}", request.message_type));
    };

    let mut read = Vec::new();
    let wire = match payload {
        Payload::Protobuf(wire) => wire,
        Payload::Json(json) => {
            let ignore_unknown_fields =
                request.test_category() == TestCategory::JsonIgnoreUnknownParsing;
            let options = ReadOptions { ignore_unknown_fields, ..Default::default() };
            match transcoder.json_to_wire(message, json, &options, &mut read) {
                Ok(()) => &read,
                Err(error) => return Outcome::ParseError(error.to_string()),
            }
        }
    };
    if output == WireFormat::Protobuf {
        return Outcome::Protobuf(read);
    }
    let mut json = Vec::new();
    match transcoder.wire_to_json(message, wire, &WriteOptions::default(), &mut json) {
        Ok(()) => Outcome::Json(json),
        // Protobuf is read and JSON written in one step.
        Err(error) => match error.kind {
            WireFault::Malformed => Outcome::ParseError(error.to_string()),
            _ => Outcome::SerializeError(error.to_string()),
        },
    }
}

// What is used of conformance.proto. JSON is a string there, which is the same on the wire;
// bytes are what the transcoder takes and gives, valid UTF-8 or not.

#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(oneof = "Payload", tags = "1, 2")]
    payload: Option<Payload>,
    #[prost(enumeration = "WireFormat", tag = "3")]
    requested_output_format: i32,
    #[prost(string, tag = "4")]
    message_type: String,
    #[prost(enumeration = "TestCategory", tag = "5")]
    test_category: i32,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Payload {
    #[prost(bytes, tag = "1")]
    Protobuf(Vec<u8>),
    #[prost(bytes, tag = "2")]
    Json(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum WireFormat {
    Unspecified = 0,
    Protobuf = 1,
    Json = 2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum TestCategory {
    Unspecified = 0,
    JsonIgnoreUnknownParsing = 3,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(oneof = "Outcome", tags = "1, 2, 3, 4, 5, 6")]
    result: Option<Outcome>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Outcome {
    #[prost(string, tag = "1")]
    ParseError(String),
    #[prost(string, tag = "2")]
    RuntimeError(String),
    #[prost(bytes, tag = "3")]
    Protobuf(Vec<u8>),
    #[prost(bytes, tag = "4")]
    Json(Vec<u8>),
    #[prost(string, tag = "5")]
    Skipped(String),
    #[prost(string, tag = "6")]
    SerializeError(String),
}
