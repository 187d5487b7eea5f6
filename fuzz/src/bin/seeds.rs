//! Writes the inputs that fuzzing starts from into `corpus/`.

#![forbid(unsafe_code)]

use std::{fs, io, path::Path};

use transom::transcoding::ReadOptions;
use transom_fuzz::{Case, MESSAGES, legacy_descriptor_set};

const SEEDS: [(&str, &[&str]); 8] = [
    (
        "inventory.v1.Everything",
        &[
            r#"{"text":"é\n\u0001","signed":-1,"big":"-9007199254740993","unsigned":4294967295,"huge":"18446744073709551615","zigzag":-5,"fixed":"1","real":0.1,"smallReal":0.5,"flag":true,"blob":"AP8=","kind":"KIND_PART"}"#,
            r#"{"tags":["a",""],"numbers":[1,-1,1e2],"kinds":["KIND_TOOL",77],"labels":{"k":"v","":"\ud83e\udd80"},"childrenById":{"-1":{"text":"x"}},"child":{"child":{}}}"#,
            r#"{"at":"2026-01-02T03:04:05.006Z","takes":"1.500s","mask":"a.bC,d","open":{"x":[null,1.5,"y",{}]},"any":{"@type":"type.googleapis.com/inventory.v1.GetItemRequest","name":"n"},"maybeBig":"7","maybeText":"","opt":"","right":0,"children":[{}],"value":null}"#,
            r#"{ "real" : "NaN" , "small_real" : "-Infinity", "children_by_id": {} , "unknown": [{"a": 1}] }"#,
        ],
    ),
    (
        "fuzz.Legacy",
        &[
            r#"{"a":1,"name":"n","loose":[1,2],"packed":[3,4],"closed":"CLOSED_MINUS","closedList":[3,-1],"closedPack":["CLOSED_ZERO"],"closedMap":{"k":"CLOSED_THREE"}}"#,
            r#"{"grp":{"x":1,"inner":{"name":""},"deep":[{"s":"t"},{}]},"many":[{"b":true},{"b":false}],"message":{"null":null},"a \"quoted\" name\n":5,"far":1e-310}"#,
            r#"{"int32Map":{"-1":2},"int64Map":{"-9":{}},"uint32Map":{"4294967295":"x"},"uint64Map":{"18446744073709551615":"AA=="},"sint32Map":{"-2147483648":1.5},"sint64Map":{"7":"Infinity"},"fixed32Map":{"1":true},"fixed64Map":{"1":[{}]},"sfixed32Map":{"-1":"1970-01-01T00:00:00Z"},"boolMap":{"true":"5","false":0}}"#,
            r#"{"[fuzz.ext]":1,"[fuzz.ext_list]":["a"],"[fuzz.ext_message]":{"[fuzz.ext]":2},"text":"t"}"#,
        ],
    ),
    (
        "fuzz.Known",
        &[
            r#"{"any":{"@type":"t/fuzz.Known","any":{"@type":"t/google.protobuf.Duration","value":"-1.000000001s"}},"anys":[{},{"value":{},"@type":"t/google.protobuf.Empty"}]}"#,
            r#"{"timestamp":"0001-01-01T00:00:00Z","duration":"315576000000s","mask":"a,bC.d","struct":{"a":{"b":[]}},"value":-0.0,"list":[1,"x",null],"double":"-Infinity","bytes":"_-8","bool":false,"values":[null,{}],"timestamps":["9999-12-31T23:59:59.999999999+00:00"],"nulls":[null,"NULL_VALUE"]}"#,
        ],
    ),
    (
        "google.protobuf.Any",
        &[
            r#"{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":"t/google.protobuf.Value","value":null}}"#,
            r#"{"name":"n","@type":"t/fuzz.Legacy","[fuzz.ext]":1}"#,
        ],
    ),
    ("google.protobuf.Struct", &[r#"{"a":{"b":{"c":[[[[]]]]}},"":1e300,"k":"v"}"#]),
    ("google.protobuf.Value", &[r#"[1,-0.5,1e-7,"s",true,null,{"a":[]}]"#, "null"]),
    ("google.protobuf.Timestamp", &[r#""2000-02-29T23:59:59.123456789-23:59""#]),
    ("google.protobuf.FieldMask", &[r#""a.bC,d1,eF""#]),
];

fn main() -> io::Result<()> {
    for (pick, name) in MESSAGES.iter().enumerate() {
        let seeds = SEEDS.iter().filter(|(message, _)| message == name);
        for (number, json) in seeds.flat_map(|(_, seeds)| *seeds).enumerate() {
            let (head, file) = ([pick as u8, 1], format!("{name}-{number}"));
            let json = [&head[..], json.as_bytes()].concat();
            write("json_to_wire", &file, &json)?;
            let case = Case::new(&json).expect("it has two bytes");
            let read = ReadOptions { ignore_unknown_fields: true, ..Default::default() };
            let wire = case.wire(case.input, &read).unwrap_or_else(|| panic!("{file} is refused"));
            write("wire_to_json", &file, &[&head[..], &wire].concat())?;
        }
    }
    write("descriptor_set", "legacy", &legacy_descriptor_set())?;
    write("descriptor_set", "inventory", transom_test_services::INVENTORY_DESCRIPTOR_SET)
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}
