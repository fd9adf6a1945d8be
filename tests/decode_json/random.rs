//! Random values and random bytes against `serde_json`. `PROPTEST_CASES` says how many.

use holoload::decode::json::JsonPath;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::steps::{Seen, Wanted, assert_covers, assert_resumes, decode};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        // serde_json reads back exactly what needs few digits.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
        any::<String>().prop_map(Value::String),
        "[\\x00-\\x20\"\\\\日😀]{0,20}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map("[a-d\"\\\\\n]{0,2}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn record() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-e]{1,2}|\"|\\\\|日", value(), 0..8)
        .prop_map(|map| map.into_iter().collect())
}

/// The field that a value must be.
fn field_of(value: Option<&Value>) -> (Vec<u8>, bool) {
    match value {
        None | Some(Value::Null) => (Vec::new(), false),
        Some(Value::String(text)) => (text.clone().into_bytes(), true),
        Some(other) => (other.to_string().into_bytes(), false),
    }
}

/// Everything beyond ASCII escaped, as other writers do.
fn escaped(text: &str) -> String {
    let mut units = [0; 2];
    let escape = |c: char| match c {
        ' '..='~' => c.to_string(),
        _ => c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04X}")).collect(),
    };
    text.chars().map(escape).collect()
}

/// Bytes in which everything that means something is frequent.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\"a\"",
        "\"a\":1",
        "{\"a\":",
        "\\",
        "\\u0041",
        "\\ud800",
        "null",
        "true",
        "-1",
        "0.5e3",
        "é",
        "\n",
        "\r\n",
        " ",
        "{\"a\":1}\n",
        "{\"b\":[{}]},",
        "x",
        "\u{feff}",
    ];
    let word = prop_oneof![
        30 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => Just(vec![0xff]),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

fn in_chunks<'a>(input: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut chunks, mut rest) = (Vec::new(), input);
    for size in sizes {
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks.push(rest);
    chunks
}

fn names_stand_once(text: &str) -> bool {
    // Maps of serde_json keep one of two; what was lost shows in the count of names.
    let Ok(Value::Object(map)) = serde_json::from_str(text) else { return true };
    let mut wanted = Wanted::lines("");
    wanted.paths = map.keys().map(|name| JsonPath::name(name)).collect();
    let steps = decode(&wanted, [text.as_bytes()]);
    !steps.iter().any(|step| step.text().contains("stands twice"))
}

proptest! {
    #[test]
    fn what_was_written_comes_back(
        records in prop::collection::vec(record(), 0..6),
        sizes in prop::collection::vec(0_usize..40, 0..12),
        is_escaped in any::<bool>(),
        layout in 0_u8..3,
    ) {
        let texts: Vec<String> = records.iter().map(|record| {
            let text = match layout {
                1 => serde_json::to_string_pretty(record).unwrap(),
                _ => serde_json::to_string(record).unwrap(),
            };
            if is_escaped && layout != 1 { escaped(&text) } else { text }
        }).collect();
        let mut names: Vec<&String> = records.iter().flat_map(|record| record.keys()).collect();
        names.sort();
        names.dedup();
        let (mut wanted, input) = match layout {
            0 => (Wanted::lines(""), texts.join("\r\n")),
            1 => (Wanted::document("", ""), format!("[{}]", texts.join(",\n"))),
            _ => (Wanted::document("/a/0", ""), format!("{{\"x\":{{}},\"a\":[[{}],1]}}", texts.join(","))),
        };
        wanted.paths = names.iter().map(|name| JsonPath::name(name)).collect();
        let steps = decode(&wanted, in_chunks(input.as_bytes(), &sizes));
        prop_assert_eq!(steps.len(), records.len(), "{:?}", steps);
        for (step, record) in steps.iter().zip(&records) {
            let Seen::Record { fields, .. } = step else { panic!("{step:?}") };
            for ((bytes, is_quoted), name) in fields.iter().zip(&names) {
                let (expected, expected_quoted) = field_of(record.get(*name));
                prop_assert_eq!(*is_quoted, expected_quoted);
                let is_container = matches!(record.get(*name), Some(Value::Array(_) | Value::Object(_)));
                if is_container {
                    let parsed: Value = serde_json::from_slice(bytes).unwrap();
                    prop_assert_eq!(&parsed, &record[*name]);
                } else {
                    prop_assert_eq!(bytes, &expected);
                }
            }
        }
        assert_covers(input.as_bytes(), &steps);
        assert_resumes(&wanted, input.as_bytes(), &steps);
    }

    #[test]
    fn soup_is_the_same_in_any_chunks(
        input in soup(),
        sizes in prop::collection::vec(0_usize..20, 0..12),
        root in prop::sample::select(vec!["-", "", "/a", "/0"]),
    ) {
        let wanted = if root == "-" { Wanted::lines("a b.c /b/0") } else { Wanted::document(root, "a b.c /b/0") };
        let whole = decode(&wanted, [input.as_slice()]);
        prop_assert_eq!(&decode(&wanted, in_chunks(&input, &sizes)), &whole);
        assert_covers(&input, &whole);
        assert_resumes(&wanted, &input, &whole);
    }

    #[test]
    fn a_line_is_well_formed_where_serde_json_says_so(input in soup()) {
        let line: Vec<u8> = input.into_iter().filter(|byte| *byte != b'\n').collect();
        let steps = decode(&Wanted::lines("a"), [line.as_slice()]);
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
        let is_blank = text.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\t'));
        let parsed = serde_json::from_slice::<Value>(text);
        let is_object = matches!(parsed, Ok(Value::Object(_)));
        let is_once = std::str::from_utf8(text).is_ok_and(names_stand_once);
        match steps.as_slice() {
            [] => prop_assert!(is_blank),
            [Seen::Record { .. }] => prop_assert!(is_object, "{}", line.escape_ascii()),
            [Seen::Malformed { .. }] => prop_assert!(!is_object || !is_once, "{} {:?}", line.escape_ascii(), steps),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
