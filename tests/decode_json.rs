//! The JSON decoder through its public interface.
//!
//! Every case of the tables is decoded whole, at every split into two chunks, at every split into three where the text
//! is short, and in chunks of every size; the steps must be the same each time, and whoever begins behind any record
//! must see the rest. Beyond the tables, values and byte soup are compared with what `serde_json` makes of them.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use bytes::Bytes;
use holoload::decode::json::{JsonPath, Layout, Others, SURVEY_RECORDS, Survey};

use self::steps::{Seen, Wanted, assert_covers, decode, decode_in_all_chunkings};

#[path = "decode_json/random.rs"]
mod random;
#[path = "decode_json/steps.rs"]
mod steps;

/// Decodes every text in all chunkings and compares the steps with their texts.
#[track_caller]
fn assert_cases(wanted: &Wanted, cases: &[(&[u8], &[&str])]) {
    for (input, expected) in cases {
        let shown = input.escape_ascii();
        let steps = decode_in_all_chunkings(wanted, input);
        let texts: Vec<_> = steps.iter().map(Seen::text).collect();
        assert_eq!(&texts, expected, "`{shown}` as {wanted:?}");
        assert_covers(input, &steps);
    }
}

const NOT_JSON: &str = "1:0 not well-formed JSON";
const CONTROL: &str = "1:0 a control character in a JSON string";
const SURROGATE: &str = "1:0 half of a surrogate pair in a JSON string";
const TWICE: &str = "1:0 a name that stands twice in a JSON object";
const NO_OBJECT: &str = "1:0 not a JSON object";

#[test]
fn a_record_is_a_line() {
    assert_cases(
        &Wanted::lines("a b"),
        &[
            (b"", &[]),
            (b"{}", &["1:0 |"]),
            (b"{}\n", &["1:0 |"]),
            (b"{\"a\":1}\n{\"b\":2}\n", &["1:0 1|", "2:8 |2"]),
            (b"{\"a\":1}\r\n{\"a\":2}\r\n", &["1:0 1|", "2:9 2|"]),
            (b"{\"a\":1}\n\n \t\r\n{\"a\":2}", &["1:0 1|", "4:13 2|"]),
            (b"\n\n{\"a\":1}", &["3:2 1|"]),
            (b"\xef\xbb\xbf{\"a\":1}\n", &["1:3 1|"]),
            (b"\xef\xbb\xbf\n{\"a\":1}\n", &["2:4 1|"]),
            (b"  {\"a\" : 1 , \"b\":\t2}  \n", &["1:0 1|2"]),
            (b"{\"a\":1}{\"a\":2}\n{\"a\":3}", &[NOT_JSON, "2:15 3|"]),
            (b"{\"a\":1\n}\n{\"a\":2}", &[NOT_JSON, "2:7 not well-formed JSON", "3:9 2|"]),
            (
                b"[{\"a\":1}]\n1\n\"a\"\nnull\n",
                &[NO_OBJECT, "2:10 not a JSON object", "3:12 not a JSON object", "4:16 not a JSON object"],
            ),
            (b"a,b\n1,2\n", &[NOT_JSON, "2:4 not well-formed JSON"]),
        ],
    );
}

#[test]
fn fields_are_what_values_mean() {
    let wanted = Wanted::lines("a");
    let case = |value: &str| {
        let line = format!("{{\"a\":{value}}}");
        let steps = decode_in_all_chunkings(&wanted, line.as_bytes());
        steps.iter().map(|step| step.text()[4..].to_owned()).collect::<Vec<_>>().join(";")
    };
    for (value, field) in [
        ("null", ""),
        ("true", "true"),
        ("false", "false"),
        ("0", "0"),
        ("-0.50e+01", "-0.50e+01"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1E400", "1E400"),
        ("\"\"", "<>"),
        ("\"x y\"", "<x y>"),
        ("\"日本\u{1f600}\"", "<日本\u{1f600}>"),
        (r#""\"\\\/\b\f\n\r\t""#, "<\"\\/\u{8}\u{c}\n\r\t>"),
        (r#""\u0041\u65e5\ud83d\ude00\u0000""#, "<A日\u{1f600}\0>"),
        (
            r#""plain then \u0041 and more than eight bytes behind""#,
            "<plain then A and more than eight bytes behind>",
        ),
        ("[]", "[]"),
        ("{}", "{}"),
        ("[1, {\"b\": [\"\\u0041\"]}]", "[1, {\"b\": [\"\\u0041\"]}]"),
        ("{ \"b\" :null}", "{ \"b\" :null}"),
    ] {
        assert_eq!(case(value), field, "{value}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_the_grammar_does_not_have_is_malformed() {
    for value in [
        "",
        "nul",
        "nulll",
        "True",
        "NaN",
        "Infinity",
        "-",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "--1",
        "'a'",
        "\"a",
        "a",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[",
        "]",
        "{,}",
        "{\"b\"}",
        "{\"b\":}",
        "{\"b\":1,}",
        "{b:1}",
        "{1:1}",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u123\"",
        "\"\\",
        "/* */1",
        "1//",
        "[1}",
        "{\"b\":1]",
        "\"a\"\"b\"",
        "1,",
        "1:2",
    ] {
        let line = format!("{{\"a\":{value}}}");
        assert_cases(&Wanted::lines("a"), &[(line.as_bytes(), &[NOT_JSON])]);
        // Where no path leads it is the same.
        assert_cases(&Wanted::lines("b"), &[(line.as_bytes(), &[NOT_JSON])]);
    }
    for line in [
        "{",
        "}",
        "{\"a\"",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{\"a\":1}x",
        "{\"a\":1}}",
    ] {
        assert_cases(&Wanted::lines("a"), &[(line.as_bytes(), &[NOT_JSON])]);
    }
    assert_cases(
        &Wanted::lines("a"),
        &[
            (b"{\"a\":\"\t\"}", &[CONTROL]),
            (b"{\"a\":\"12345678\0\"}", &[CONTROL]),
            (b"{\"b\":[\"\x1f\"]}", &[CONTROL]),
            (br#"{"a":"\ud800"}"#, &[SURROGATE]),
            (br#"{"a":"\udc00"}"#, &[SURROGATE]),
            (br#"{"a":"\ud800\ud800\udc00"}"#, &[SURROGATE]),
            (br#"{"b":["\ud800\n"]}"#, &[SURROGATE]),
            (b"{\"a\":\"\xff\"}", &["1:0 not UTF-8"]),
            (b"{\"b\":\"\xe3\x81\"}", &["1:0 not UTF-8"]),
            (b"{\"\xff\":1}\n{\"a\":1}", &["1:0 not UTF-8", "2:8 1"]),
        ],
    );
}

#[test]
fn a_name_stands_once() {
    assert_cases(
        &Wanted::lines("a b.c"),
        &[
            (br#"{"a":1,"a":1}"#, &[TWICE]),
            (br#"{"a":1,"\u0061":2}"#, &[TWICE]),
            (br#"{"x":1,"a":2,"x":1}"#, &[TWICE]),
            (br#"{"x":1,"y":2,"\u0078":1}"#, &[TWICE]),
            (br#"{"b":{"c":1,"c":2}}"#, &[TWICE]),
            (br#"{"b":{"c":1},"b":{"c":2}}"#, &[TWICE]),
            // Of what is taken as text nothing is lost.
            (br#"{"a":{"x":1,"x":2}}"#, &[r#"1:0 {"x":1,"x":2}|"#]),
            (br#"{"\u0061":"x"}"#, &["1:0 <x>|"]),
        ],
    );
}

#[test]
fn paths_lead_into_values() {
    assert_cases(
        &Wanted::lines("u u.name /u/tags/1 /u/tags/10 /a~1b"),
        &[
            (br#"{"u":{"name":"x"}}"#, &[r#"1:0 {"name":"x"}|<x>|||"#]),
            (
                br#"{"u":{"name":"\u0078","tags":[1,"two"]},"a/b":3}"#,
                &[r#"1:0 {"name":"\u0078","tags":[1,"two"]}|<x>|<two>||3"#],
            ),
            (
                br#"{"u":{"tags":[0,1,2,3,4,5,6,7,8,9,true,11]}}"#,
                &["1:0 {\"tags\":[0,1,2,3,4,5,6,7,8,9,true,11]}||1|true|"],
            ),
            (br#"{"u":{"tags":{"1":"one"}}}"#, &[r#"1:0 {"tags":{"1":"one"}}||<one>||"#]),
            (br#"{"u":null}"#, &["1:0 ||||"]),
            (br#"{"u":[]}"#, &["1:0 []||||"]),
            (br#"{"u":"x"}"#, &["1:0 a path leads into a value that is neither an object nor an array"]),
            (
                br#"{"u":{"tags":7}}"#,
                &["1:0 a path leads into a value that is neither an object nor an array"],
            ),
        ],
    );
    let mut json = Wanted::lines("a a");
    json.as_json = vec![1];
    assert_cases(
        &json,
        &[
            (br#"{"a":"\u0041"}"#, &[r#"1:0 <A>|<"\u0041">"#]),
            (br#"{"a":[1]}"#, &["1:0 [1]|<[1]>"]),
            (br#"{"a":null}"#, &["1:0 |"]),
        ],
    );
}

#[test]
fn other_names_are_treated_as_asked() {
    let input: &[u8] = br#"{"x":"1","a":2,"p":3,"\u0079":[4]}"#;
    let mut wanted = Wanted::lines("a");
    wanted.passed = vec!["p"];
    assert_cases(&wanted, &[(input, &["1:0 2"])]);
    wanted.others = Others::Collect;
    assert_cases(
        &wanted,
        &[
            (input, &[r#"1:0 2|<{"x":"1","\u0079":[4]}>"#]),
            (br#"{"a":2,"p":3}"#, &["1:0 2|<{}>"]),
            (br#"{"x":1,"a":2,"x":3}"#, &[TWICE]),
        ],
    );
    wanted.others = Others::Refuse;
    wanted.late = vec!["b"];
    assert_cases(
        &wanted,
        &[
            (input, &["1:0 a name that the table has no column for (x)"]),
            (br#"{"a":2,"p":3}"#, &["1:0 2"]),
            (
                br#"{"a":2,"b":3}"#,
                &[
                    "1:0 a column that the first records do not have: name it under `columns:` to have it loaded (b)",
                ],
            ),
        ],
    );
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    let step = |text: &str| decode(&Wanted::lines("b"), [text.as_bytes()])[0].text();
    assert_eq!(step(&nested(127)), "1:0 ");
    assert_eq!(step(&nested(128)), "1:0 JSON nested deeper than 128 levels");
    assert_eq!(step(&nested(100_000)), "1:0 JSON nested deeper than 128 levels");
    let mixed = format!("{{\"a\":{}1{}}}", "{\"x\":[".repeat(60), "]}".repeat(60));
    assert_eq!(step(&mixed), "1:0 ");
}

#[test]
fn records_are_the_elements_of_an_array() {
    assert_cases(
        &Wanted::document("", "a"),
        &[
            (b"", &[]),
            (b" \n", &[]),
            (b"[]", &[]),
            (b"\xef\xbb\xbf [ ] \n", &[]),
            (b"[{\"a\":1}]", &["1:1 1"]),
            (b"[\n  {\n    \"a\": 1\n  },\n  {\"a\": 2}\n]\n", &["2:4 1", "5:24 2"]),
            (b"[{},{\"a\":\"}]\\\"\"}]", &["1:1 ", "1:4 <}]\">"]),
            (
                b"[1,{\"a\":1},\"x\",[],null]",
                &[
                    "1:1 not a JSON object",
                    "1:3 1",
                    "1:11 not a JSON object",
                    "1:15 not a JSON object",
                    "1:18 not a JSON object",
                ],
            ),
            (
                br#"[{"a":"\ud800"},{"a":1,"a":2},{"a":3}]"#,
                &[
                    "1:1 half of a surrogate pair in a JSON string",
                    "1:16 a name that stands twice in a JSON object",
                    "1:30 3",
                ],
            ),
            (b"[{\"a\":\"\xff\"},{\"a\":3}]", &["1:1 not UTF-8", "1:11 3"]),
            // Objects one after the other, and one alone.
            (b"{\"a\":1}", &["1:0 1"]),
            (b"{\"a\":1}{\"a\":2}\n\n{\n\"a\":3}", &["1:0 1", "1:7 2", "3:16 3"]),
        ],
    );
}

#[test]
fn a_broken_document_ends_with_its_place() {
    let failed = |line: u64, byte: u64, what: &str| format!("read JSON at line {line}, byte {byte}: {what}");
    let ends = "the object ends before its JSON text does";
    let broken = "not well-formed JSON";
    let formed = "the JSON text is not well formed";
    for (input, before, message) in [
        (&b"["[..], 0, failed(1, 1, ends)),
        (b"[{\"a\":1}", 1, failed(1, 8, ends)),
        (b"[{\"a\":1},\n", 1, failed(2, 10, ends)),
        (b"[{\"a\":1},{\"a\":\n", 1, failed(1, 9, ends)),
        (b"[{\"a\":1},]", 1, failed(1, 9, broken)),
        (b"[,{\"a\":1}]", 0, failed(1, 1, broken)),
        (b"[{\"a\":1} {\"a\":2}]", 1, failed(1, 9, formed)),
        (b"[{\"a\":1},\n {\"a\" 2}]", 1, failed(2, 16, broken)),
        (b"[{\"a\":\"\n\"}]", 0, failed(1, 7, "a control character in a JSON string")),
        (b"[{\"a\":1}]]", 1, failed(1, 9, "something follows the end of the JSON text")),
        (b"{\"a\":1},{\"a\":2}", 1, failed(1, 7, "something follows the end of the JSON text")),
        (b"a,b\n1,2\n", 0, failed(1, 0, "it begins with neither `[` nor `{`")),
        (b"\"[]\"", 0, failed(1, 0, "it begins with neither `[` nor `{`")),
        (b"{\"a\":1", 0, failed(1, 0, ends)),
        (b"{\"a\":1]", 0, failed(1, 6, broken)),
    ] {
        let steps = decode_in_all_chunkings(&Wanted::document("", "a"), input);
        assert_eq!(steps.len(), before + 1, "`{}`: {steps:?}", input.escape_ascii());
        assert_eq!(steps[before].text(), message, "`{}`", input.escape_ascii());
    }
}

#[test]
fn the_array_may_stand_deeper() {
    assert_cases(
        &Wanted::document("/data/1/items", "a"),
        &[
            (
                br#"{"x":[{"items":[1]}],"data":[0,{"n":null,"items":[{"a":1},{"a":2}],"m":{}},[]],"y":"z"}"#,
                &["1:50 1", "1:58 2"],
            ),
            (br#"{"data":{"1":{"items":{"a":1}}}}"#, &["1:22 1"]),
            (br#"{"d\u0061ta":{"1":{"items":[]}}}"#, &[]),
            (br#"{"data":[0,{"items":[{"a":1}]},{"items":[{"a":2}]}]}"#, &["1:21 1"]),
        ],
    );
    let no_root = "there is neither an array nor an object at `root`";
    for (input, what) in [
        (&b"{}"[..], no_root),
        (b"[]", no_root),
        (b"{\"data\":[0]}", no_root),
        (b"{\"data\":[0,1]}", no_root),
        (b"{\"data\":[0,{\"items\":null}]}", no_root),
        (
            b"{\"data\":[0,{\"items\":[]}],\"data\":[]}",
            "a name on the way to `root` stands twice in one object",
        ),
        (
            b"{\"data\":[0,{\"items\":[],\"items\":[{}]}]}",
            "a name on the way to `root` stands twice in one object",
        ),
        (b"{\"data\":[0,{\"items\":[]}]}{}", "something follows the end of the JSON text"),
        (b"{\"data\":[0,{\"items\":[]}}", "the JSON text is not well formed"),
        (b"{\"data\":[01,{\"items\":[]}]}", "not well-formed JSON"),
        (b"{\"x\":tru,\"data\":[0,{\"items\":[]}]}", "not well-formed JSON"),
        (b"{\"data\":[0,{\"items\":[]}", "the object ends before its JSON text does"),
    ] {
        let steps = decode_in_all_chunkings(&Wanted::document("/data/1/items", "a"), input);
        let last = steps.last().unwrap();
        assert!(last.is_failed() && last.text().ends_with(what), "`{}`: {steps:?}", input.escape_ascii());
    }
}

#[test]
fn a_record_has_a_limit() {
    let mut wanted = Wanted::lines("a");
    wanted.record_bytes_max = 8;
    let fits: &[u8] = b"{\"a\":1}\n{\"a\":2}";
    assert_cases(&wanted, &[(fits, &["1:0 1", "2:8 2"])]);
    let long: &[u8] = b"{\"a\":1}\n{\"a\":22}\n";
    assert_cases(&wanted, &[(long, &["1:0 1", "record at line 2, byte 8 is longer than 8 bytes"])]);
    assert_cases(&wanted, &[(b"\n         \n", &["record at line 2, byte 1 is longer than 8 bytes"])]);
    let mut wanted = Wanted::document("", "a");
    wanted.record_bytes_max = 7;
    assert_cases(&wanted, &[(b"[{\"a\":1},{\"a\":2}]", &["1:1 1", "1:9 2"])]);
    assert_cases(
        &wanted,
        &[
            (b"[{\"a\":1}, {\"a\":22}]", &["1:1 1", "record at line 1, byte 10 is longer than 7 bytes"]),
            (b"[{\"a\":\"xy", &["record at line 1, byte 1 is longer than 7 bytes"]),
        ],
    );
}

#[test]
fn a_survey_tells_the_names_of_the_first_records() {
    let survey = |layout: Layout, input: &[u8], chunk: usize| {
        let mut survey = Survey::new(layout, 1 << 20);
        let mut is_done = false;
        for piece in input.chunks(chunk) {
            is_done = survey.push(Bytes::copy_from_slice(piece));
            if is_done {
                break;
            }
        }
        if !is_done {
            survey.finish();
        }
        (survey.names().join(" "), survey.record_count())
    };
    let input = b"{\"b\":1}\nnonsense\n{\"a\":1,\"b\":{\"c\":2}}\n{\"\\u0064\":3}";
    for chunk in 1..=input.len() {
        assert_eq!(survey(Layout::Lines, input, chunk), ("b a d".to_owned(), 3), "{chunk}");
    }
    let document = Layout::Document { root: JsonPath::root("/r").unwrap() };
    assert_eq!(survey(document, b"{\"n\":1,\"r\":[{\"x\":1},{\"y\":2},{", 7), ("x y".to_owned(), 2));
    let many: String =
        (0..2 * SURVEY_RECORDS).map(|id| format!("{{\"n{}\":1}}\n", id / SURVEY_RECORDS)).collect();
    assert_eq!(survey(Layout::Lines, many.as_bytes(), 64), ("n0".to_owned(), SURVEY_RECORDS));
}
