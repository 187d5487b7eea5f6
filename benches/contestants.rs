//! Who is measured: Transom's engine, the generated code of pbjson and prost, and prost-reflect's
//! dynamic messages. Each reads bytes and appends bytes to a buffer that is kept between runs.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)] // what a benchmark unwraps, it checks

use std::sync::Arc;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, prost::Message as _};
use serde_json::Value;
use transom::{
    schema::{MessageIndex, Schema},
    transcoding::{ReadOptions, Transcoder, WriteOptions},
};
pub use transom_bench_messages::Sample;
use transom_bench_messages::{DESCRIPTOR_SET, Error, Generated};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A request.
    JsonToWire,
    /// A reply.
    WireToJson,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::JsonToWire, Self::WireToJson];

    /// As in the names of the interface.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonToWire => "json_to_wire",
            Self::WireToJson => "wire_to_json",
        }
    }

    /// What is read this way.
    pub fn input(self, sample: &Sample) -> &[u8] {
        match self {
            Self::JsonToWire => &sample.json,
            Self::WireToJson => &sample.wire,
        }
    }
}

/// One of the engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The gateway's own.
    Transom,
    /// Code generated for each message type.
    Pbjson,
    /// A message type known at run time, as a tree of values.
    ProstReflect,
}

impl Engine {
    /// Every engine; ours first.
    pub const ALL: [Self; 3] = [Self::Transom, Self::Pbjson, Self::ProstReflect];

    /// As in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transom => "transom",
            Self::Pbjson => "pbjson",
            Self::ProstReflect => "prost_reflect",
        }
    }
}

/// One sample, with what each engine needs to convert it: all that is looked up before a call.
pub struct Contest {
    /// The message.
    pub sample: Sample,
    transcoder: Arc<Transcoder>,
    index: MessageIndex,
    descriptor: MessageDescriptor,
    read: ReadOptions,
    write: WriteOptions,
}

impl std::fmt::Debug for Contest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contest").field("sample", &self.sample.name).finish_non_exhaustive()
    }
}

impl Contest {
    /// A contest for each sample.
    pub fn all() -> Vec<Self> {
        let schema = Schema::from_descriptor_set(DESCRIPTOR_SET).expect("the schema is whole");
        let transcoder = Transcoder::new(Arc::new(schema)).expect("the schema can be transcoded");
        let transcoder = Arc::new(transcoder);
        let pool = DescriptorPool::decode(DESCRIPTOR_SET).expect("the schema is whole");
        let contest = |sample: Sample| {
            let name = sample.generated.message;
            Self {
                transcoder: Arc::clone(&transcoder),
                index: transcoder.schema().message_by_name(name).expect("the message is there"),
                descriptor: pool.get_message_by_name(name).expect("the message is there"),
                read: ReadOptions { ..Default::default() },
                write: WriteOptions { ..Default::default() },
                sample,
            }
        };
        transom_bench_messages::samples().into_iter().map(contest).collect()
    }

    /// Appends to `out` what `engine` makes of the sample.
    pub fn run(&self, engine: Engine, direction: Direction, out: &mut Vec<u8>) {
        let input = direction.input(&self.sample);
        self.convert(engine, direction, input, out).expect("the sample is its message");
    }

    /// Appends to `out` what `engine` makes of `input`.
    #[inline]
    fn convert(
        &self,
        engine: Engine,
        direction: Direction,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let Generated { json_to_wire, wire_to_json, .. } = self.sample.generated;
        match (engine, direction) {
            (Engine::Transom, Direction::JsonToWire) => {
                Ok(self.transcoder.json_to_wire(self.index, input, &self.read, out)?)
            }
            (Engine::Transom, Direction::WireToJson) => {
                Ok(self.transcoder.wire_to_json(self.index, input, &self.write, out)?)
            }
            (Engine::Pbjson, Direction::JsonToWire) => json_to_wire(input, out),
            (Engine::Pbjson, Direction::WireToJson) => wire_to_json(input, out),
            (Engine::ProstReflect, Direction::JsonToWire) => {
                let mut json = serde_json::Deserializer::from_slice(input);
                let message = DynamicMessage::deserialize(self.descriptor.clone(), &mut json)?;
                json.end()?;
                Ok(message.encode(out)?)
            }
            (Engine::ProstReflect, Direction::WireToJson) => {
                let message = DynamicMessage::decode(self.descriptor.clone(), input)?;
                Ok(serde_json::to_writer(out, &message)?)
            }
        }
    }

    /// Panics unless every engine says the same of the sample, both ways: there is no point in
    /// being fast and wrong.
    pub fn check(&self) {
        let said: Value = serde_json::from_slice(&self.sample.json).unwrap();
        for engine in Engine::ALL {
            let (mut wire, mut json, mut again) = (Vec::new(), Vec::new(), Vec::new());
            self.run(engine, Direction::WireToJson, &mut json);
            // The encoding has no one form (maps), so it is told by the JSON that one engine,
            // always the same, makes of it.
            self.run(engine, Direction::JsonToWire, &mut wire);
            self.convert(Engine::Pbjson, Direction::WireToJson, &wire, &mut again).unwrap();
            for (direction, json) in [(Direction::WireToJson, json), (Direction::JsonToWire, again)]
            {
                // pbjson writes a timestamp's offset in another way than the specification.
                let json = String::from_utf8(json).unwrap().replace("+00:00", "Z");
                let value: Value = serde_json::from_str(&json).unwrap();
                let (engine, direction) = (engine.name(), direction.name());
                let name = self.sample.name;
                assert!(equal(&value, &said), "{engine} {direction} {name}:\n{value}\n{said}");
            }
        }
    }
}

/// Equality of JSON by what numbers mean: `1`, `1.0` and `1e0` are one number.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}
