//! The CSV decoder through its public interface.
//!
//! Every case of the tables is decoded whole, at every split into two chunks, at every split into three where the
//! text is short, and in chunks of every size; the steps must be the same each time. Beyond the tables, byte soup
//! is decoded in random chunks and compared with `csv-core`, and what an encoder wrote must come back.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use bytes::Bytes;
use holoload::decode::Step;
use holoload::decode::csv::{CsvDecoder, Delimiter, Dialect, Escape, FIELD_COUNT_MAX};

use self::steps::{Seen, assert_covers, decode, decode_in_all_chunkings};

#[path = "decode_csv/options.rs"]
mod options;
#[path = "decode_csv/random.rs"]
mod random;
#[path = "decode_csv/reference.rs"]
mod reference;
#[path = "decode_csv/steps.rs"]
mod steps;

const CSV: Dialect = Dialect::CSV;
const BACKSLASH: Dialect = Dialect { escape: Escape::Byte(b'\\'), ..CSV };
const UNQUOTED: Dialect = Dialect { quote: None, ..CSV };
const UNQUOTED_BACKSLASH: Dialect = Dialect { quote: None, ..BACKSLASH };

/// Long enough that no case comes near it.
const AMPLE_BYTES: usize = 1 << 20;
const fn skipping(skip_lines: u64) -> Dialect {
    Dialect { skip_lines, ..CSV }
}

fn delimited(delimiter: &str) -> Dialect {
    Dialect { delimiter: Delimiter::new(delimiter.as_bytes()).unwrap(), ..CSV }
}

/// Decodes every text in all chunkings and compares the steps with their texts.
#[track_caller]
fn assert_cases(cases: &[(Dialect, &[u8], &[&str])]) {
    for (dialect, input, expected) in cases {
        let shown = input.escape_ascii();
        let steps = decode_in_all_chunkings(*dialect, AMPLE_BYTES, input);
        let texts: Vec<_> = steps.iter().map(Seen::text).collect();
        assert_eq!(&texts, expected, "`{shown}` as {dialect:?}");
        assert_covers(*dialect, input, &steps);
    }
}

#[test]
fn a_record_ends_at_any_line_end_and_empty_lines_are_none() {
    assert_cases(&[
        (CSV, b"", &[]),
        (CSV, b"a", &["1:0 a"]),
        (CSV, b"a\n", &["1:0 a"]),
        (CSV, b"a\r", &["1:0 a"]),
        (CSV, b"a\r\n", &["1:0 a"]),
        (CSV, b"a,b\nc,d", &["1:0 a|b", "2:4 c|d"]),
        (CSV, b"a\rb\nc\r\nd", &["1:0 a", "2:2 b", "3:4 c", "4:7 d"]),
        (CSV, b"a\n\rb", &["1:0 a", "3:3 b"]),
        (CSV, b"a\r\rb", &["1:0 a", "3:3 b"]),
        (CSV, b"a\r\r\nb", &["1:0 a", "3:4 b"]),
        (CSV, b"a\r\n\r\nb", &["1:0 a", "3:5 b"]),
        (CSV, b"a\r\n\nb", &["1:0 a", "3:4 b"]),
        (CSV, b"\n", &[]),
        (CSV, b"\r\n", &[]),
        (CSV, b"\r", &[]),
        (CSV, b"\n\n\na", &["4:3 a"]),
        (CSV, b"\r\n\r\r\n\na", &["5:6 a"]),
        (CSV, b"a\n\n\n", &["1:0 a"]),
        (CSV, b" \n", &["1:0  "]),
        (CSV, b"a\0b\n\xff\n", &["1:0 a\0b", "2:4 \u{fffd}"]),
    ]);
}

#[test]
fn a_delimiter_always_starts_another_field() {
    assert_cases(&[
        (CSV, b",", &["1:0 |"]),
        (CSV, b",\n", &["1:0 |"]),
        (CSV, b",,\r\n", &["1:0 ||"]),
        (CSV, b"a,b,\r\n", &["1:0 a|b|"]),
        (CSV, b"a,b,", &["1:0 a|b|"]),
        (CSV, b",a", &["1:0 |a"]),
        (CSV, b"a,,b\n", &["1:0 a||b"]),
        (CSV, b"a, b ,c\n", &["1:0 a| b |c"]),
        (CSV, b"a,b,c\nd\ne,f", &["1:0 a|b|c", "2:6 d", "3:8 e|f"]),
        (delimited("\t"), b"a\tb,c\t\n", &["1:0 a|b,c|"]),
        (delimited("\0"), b"a\0b,c\0\n", &["1:0 a|b,c|"]),
        (Dialect { quote: Some(b'\''), ..delimited(";") }, b"a;'b;''';\"c\n", &["1:0 a|<b;'>|\"c"]),
        (CSV, "é,日本\n".as_bytes(), &["1:0 é|日本"]),
    ]);
}

#[test]
fn a_quoted_field_keeps_its_bytes() {
    assert_cases(&[
        (CSV, b"\"a\"", &["1:0 <a>"]),
        (CSV, b"\"a\"\n", &["1:0 <a>"]),
        (CSV, b"\"a\"\r\n\"b\"\r", &["1:0 <a>", "2:5 <b>"]),
        (CSV, b"\"\"", &["1:0 <>"]),
        (CSV, b"\"\"\n\"\"", &["1:0 <>", "2:3 <>"]),
        (CSV, b"\"\",,\"\"\n", &["1:0 <>||<>"]),
        (CSV, b"\"a,b\",c\n", &["1:0 <a,b>|c"]),
        (CSV, b"a,\"b\"\n", &["1:0 a|<b>"]),
        (CSV, b"a,\"b\",\n", &["1:0 a|<b>|"]),
        (CSV, b"\"a\"\"b\"\n", &["1:0 <a\"b>"]),
        (CSV, b"\"\"\"\"\n", &["1:0 <\">"]),
        (CSV, b"\"\"\"\"\"\"\n", &["1:0 <\"\">"]),
        (CSV, b"\"\"\"a\"\"\",b\n", &["1:0 <\"a\">|b"]),
        (CSV, b"x,\"a\"\"b\",y,\"c\",\"\"\"d\"\n", &["1:0 x|<a\"b>|y|<c>|<\"d>"]),
        (CSV, b"\" a \"\n", &["1:0 < a >"]),
        (CSV, b"\"a\\\"\n", &["1:0 <a\\>"]),
    ]);
}

#[test]
fn lines_inside_quotes_are_kept_and_counted() {
    assert_cases(&[
        (CSV, b"\"a\nb\"\nc\n", &["1:0 <a\nb>", "3:6 c"]),
        (CSV, b"\"a\r\nb\"\r\nc\n", &["1:0 <a\r\nb>", "3:8 c"]),
        (CSV, b"\"a\rb\"\rc", &["1:0 <a\rb>", "3:6 c"]),
        (CSV, b"\"\r\n\n\r\"\nc", &["1:0 <\r\n\n\r>", "5:7 c"]),
        (CSV, b"\"\n\",\"\r\",\"\r\n\"\nc", &["1:0 <\n>|<\r>|<\r\n>", "5:13 c"]),
        (CSV, b"\"\r\",\"\n\"\nc", &["1:0 <\r>|<\n>", "4:8 c"]),
        (CSV, b"\"\r\"\"\n\"\nc", &["1:0 <\r\"\n>", "4:7 c"]),
        (CSV, b"\"\r\"\n\"a\n\"\nc", &["1:0 <\r>", "3:4 <a\n>", "5:9 c"]),
        (CSV, b"\n\"\n\n\"\n\nc", &["2:1 <\n\n>", "6:7 c"]),
        (BACKSLASH, b"\"\\\r\n\\\n\"\nc", &["1:0 <\\\r\n\\\n>", "4:8 c"]),
        (UNQUOTED, b"\"a\nb\"\n", &["1:0 \"a", "2:3 b\""]),
    ]);
}

#[test]
fn a_quote_inside_an_unquoted_field_is_data() {
    assert_cases(&[
        (CSV, b"a\"b\n", &["1:0 a\"b"]),
        (CSV, b"a\"b,c\"\n", &["1:0 a\"b|c\""]),
        (CSV, b"a\"\"b\n", &["1:0 a\"\"b"]),
        (CSV, b" \"a\"\n", &["1:0  \"a\""]),
        (CSV, b"a,b\",\"c\"\n", &["1:0 a|b\"|<c>"]),
        (CSV, b"5\" pipe\n6\" pipe\n", &["1:0 5\" pipe", "2:8 6\" pipe"]),
        (UNQUOTED, b"\"a\",\"\"\n\"", &["1:0 \"a\"|\"\"", "2:7 \""]),
        (UNQUOTED_BACKSLASH, b"\"a\\,b\\\"\n", &["1:0 \"a\\|b\\\""]),
        (CSV, b"'a,b'\n", &["1:0 'a|b'"]),
    ]);
}

#[test]
fn an_escape_works_inside_quotes_only() {
    assert_cases(&[
        (BACKSLASH, b"\"a\\\"b\"\n", &["1:0 <a\"b>"]),
        (BACKSLASH, b"\"a\\\\\"\n", &["1:0 <a\\>"]),
        (BACKSLASH, b"\"a\\\\\\\"\"\n", &["1:0 <a\\\">"]),
        (BACKSLASH, b"\"a\"\"b\"\n", &["1:0 <a\"b>"]),
        (BACKSLASH, b"\"a\"\"\\\"b\",c\n", &["1:0 <a\"\"b>|c"]),
        (BACKSLASH, b"\"a\\nb\"\n", &["1:0 <a\\nb>"]),
        (BACKSLASH, b"\"a\\,b\",c\n", &["1:0 <a\\,b>|c"]),
        (BACKSLASH, b"\"\\a\\b\\\\c\"\n", &["1:0 <\\a\\b\\c>"]),
        (BACKSLASH, b"a\\,b\n", &["1:0 a\\|b"]),
        (BACKSLASH, b"a\\\"b\n", &["1:0 a\\\"b"]),
        (BACKSLASH, b"\\\"a\n", &["1:0 \\\"a"]),
        (BACKSLASH, b"\\\n", &["1:0 \\"]),
        (BACKSLASH, b"\"a\"\\\n", &["1:0 field 0: text after a closing quote"]),
        (BACKSLASH, b"\"a\\\"", &["1:0 field 0: a quoted field is never closed"]),
        (BACKSLASH, b"\"a\\", &["1:0 field 0: a quoted field is never closed"]),
        (Dialect { escape: Escape::Byte(b'"'), ..CSV }, b"\"a\"\"b\"\n", &["1:0 <a\"b>"]),
    ]);
}

#[test]
fn what_is_malformed_says_so_and_the_next_record_is_read() {
    assert_cases(&[
        (CSV, b"\"a\"b\nc\n", &["1:0 field 0: text after a closing quote", "2:5 c"]),
        (CSV, b"\"a\"b,c\nd\n", &["1:0 field 0: text after a closing quote", "2:7 d"]),
        (CSV, b"\"a\"bcdef", &["1:0 field 0: text after a closing quote"]),
        (CSV, b"\"\"a", &["1:0 field 0: text after a closing quote"]),
        (CSV, b"\"a\" ,b\r\nc\r\n", &["1:0 field 0: text after a closing quote", "2:8 c"]),
        (CSV, b"x,\"a\" \"b\"\nc\n", &["1:0 field 1: text after a closing quote", "2:10 c"]),
        (CSV, b"\"a\"b\"c,d\"\ne\n", &["1:0 field 0: text after a closing quote", "2:10 e"]),
        (CSV, b"\"a\"b,\"c\nd\",e\nf\n", &["1:0 field 0: text after a closing quote", "3:13 f"]),
        (CSV, b"\"a\nb\"c\nd\n", &["1:0 field 0: text after a closing quote", "3:7 d"]),
        (CSV, b"\"a\"b,\"c\"d\ne\n", &["1:0 field 0: text after a closing quote", "2:10 e"]),
        (CSV, b"\"", &["1:0 field 0: a quoted field is never closed"]),
        (CSV, b"\"a", &["1:0 field 0: a quoted field is never closed"]),
        (CSV, b"\"a\n", &["1:0 field 0: a quoted field is never closed"]),
        (CSV, b"\"\"\"", &["1:0 field 0: a quoted field is never closed"]),
        (
            CSV,
            b"a\nb,c,\"d\ne\nf\r\n",
            &["1:0 a", "2:2 field 2: a quoted field is never closed", "3:9 e", "4:11 f"],
        ),
        (CSV, b"\"a\"b,\"c\n", &["1:0 field 1: a quoted field is never closed"]),
    ]);
}

#[test]
fn a_byte_order_mark_is_passed_over_at_the_start_alone() {
    assert_cases(&[
        (CSV, b"\xef\xbb\xbfa,b\n", &["1:3 a|b"]),
        (CSV, b"\xef\xbb\xbf\"a\",b\nc", &["1:3 <a>|b", "2:9 c"]),
        (CSV, b"\xef\xbb\xbf", &[]),
        (CSV, b"\xef\xbb\xbf\r\na", &["2:5 a"]),
        (CSV, b"\xef\xbb", &["1:0 \u{fffd}"]),
        (CSV, b"\xef", &["1:0 \u{fffd}"]),
        (CSV, b"\xef\xbb\n", &["1:0 \u{fffd}"]),
        (CSV, b"\xef\xbb\xbf\xef\xbb\xbfa", &["1:3 \u{feff}a"]),
        (CSV, b"a\n\xef\xbb\xbf\"b\"\n", &["1:0 a", "2:2 \u{feff}\"b\""]),
        (skipping(1), b"\xef\xbb\xbfhead\n\"a\"\n", &["2:8 <a>"]),
        (skipping(1), b"head\n\xef\xbb\xbfa\n", &["2:5 \u{feff}a"]),
    ]);
}

#[test]
fn skipped_lines_are_physical() {
    assert_cases(&[
        (skipping(1), b"head\na\n", &["2:5 a"]),
        (skipping(1), b"head\r\na\n", &["2:6 a"]),
        (skipping(1), b"head\ra\n", &["2:5 a"]),
        (skipping(2), b"one\rtwo\r\na\n", &["3:9 a"]),
        (skipping(2), b"\n\na\n", &["3:2 a"]),
        (skipping(2), b"\r\n\r\na\n", &["3:4 a"]),
        (skipping(1), b"\n\na\n", &["3:2 a"]),
        (skipping(1), b"head \"\na\"\n", &["2:7 a\""]),
        (skipping(2), b"\"head\nline\"\na\n", &["3:12 a"]),
        (skipping(1), b"head", &[]),
        (skipping(3), b"a\nb\n", &[]),
        (skipping(u64::MAX), b"a\nb\n", &[]),
    ]);
}

#[test]
fn fields_and_records_longer_than_a_search_block_are_whole() {
    let long = "x".repeat(150);
    let text = format!("{long},\"{long}\n{long}\",b\n\"{long}\"\"\",,,,{long}\n");
    let steps = decode_in_all_chunkings(CSV, AMPLE_BYTES, text.as_bytes());
    let texts: Vec<_> = steps.iter().map(Seen::text).collect();
    let expected = [format!("1:0 {long}|<{long}\n{long}>|b"), format!("3:457 <{long}\">||||{long}")];
    assert_eq!(texts, expected);
}

#[test]
fn a_dialect_that_contradicts_itself_does_not_panic() {
    let bytes = [b',', b'"', b'\n', b'\r', 0];
    let text = b"a,\"b\"\",\"\"\0\r\n\"c\n,\r\"\"\n";
    for delimiter in bytes {
        for quote in bytes {
            for escape in bytes {
                let dialect = Dialect {
                    delimiter: delimiter.into(),
                    quote: Some(quote),
                    escape: Escape::Byte(escape),
                    ..CSV
                };
                decode_in_all_chunkings(dialect, AMPLE_BYTES, text);
            }
        }
    }
}

#[test]
fn a_record_may_be_as_long_as_the_limit_and_no_longer() {
    let failed = |message: &str| vec![message.to_owned()];
    let too_long = |at: &str| format!("record at {at} is longer than 6 bytes");
    let cases: [(&[u8], Vec<String>); 9] = [
        (b"abcdef", vec!["1:0 abcdef".to_owned()]),
        (b"abcde\n", vec!["1:0 abcde".to_owned()]),
        (b"abcd\r\nabcde\rab", vec!["1:0 abcd".to_owned(), "2:6 abcde".to_owned(), "3:12 ab".to_owned()]),
        (b"\"a\"\"\"\r", vec!["1:0 <a\">".to_owned()]),
        (b"\n\n\n\n\n\n\n\nabc\n", vec!["9:8 abc".to_owned()]),
        (b"abcdefg", failed(&too_long("line 1, byte 0"))),
        (b"abcdef\n", failed(&too_long("line 1, byte 0"))),
        (b"abcde\r\n", failed(&too_long("line 1, byte 0"))),
        (b"\xef\xbb\xbfa\nb,c,d,e\nf\n", vec!["1:3 a".to_owned(), too_long("line 2, byte 5")]),
    ];
    for (input, expected) in cases {
        let steps = decode_in_all_chunkings(CSV, 6, input);
        let texts: Vec<_> = steps.iter().map(Seen::text).collect();
        assert_eq!(texts, expected, "`{}`", input.escape_ascii());
    }
}

#[test]
fn the_hint_for_a_long_record_names_the_line_of_its_open_quote() {
    let hint_of = |input: &[u8]| match decode_in_all_chunkings(CSV, 16, input).pop() {
        Some(Seen::Failed { hint, .. }) => hint,
        other => panic!("{other:?}"),
    };
    let more_memory = "if the record is really that long, give more memory: the limit grows with it";
    let of_quote =
        |line: u64| format!("the quote opened in line {line} is probably never closed; {more_memory}");
    assert_eq!(hint_of(b"a\nb,\"c\nd\ne\nf\ng\nh\ni\nj\n"), of_quote(2));
    assert_eq!(hint_of(b"\"a\r\nb\",\"c\nd\ne\nf\ng\nh\n"), of_quote(2));
    let of_lines = format!("the lines probably do not end in CR or LF; {more_memory}");
    assert_eq!(hint_of(b"a,b,c;d,e,f;g,h,i;j,k,l"), of_lines);
}

#[test]
fn a_quote_that_is_never_closed_is_found_at_the_limit() {
    const CHUNK_BYTES: usize = 64 << 10;
    const RECORD_BYTES_MAX: usize = 4 << 20;
    const OBJECT_CHUNKS: usize = 1024;
    let first = Bytes::from(format!("ok\n\"{}", "text,\n".repeat(CHUNK_BYTES / 6)));
    let chunk = Bytes::from("text,\n".repeat(CHUNK_BYTES / 6));
    let mut decoder = CsvDecoder::new(CSV, RECORD_BYTES_MAX);
    decoder.push(first);
    let mut chunk_count = 1;
    let error = loop {
        match decoder.step() {
            Ok(Step::NeedInput) if chunk_count < OBJECT_CHUNKS => decoder.push(chunk.clone()),
            Ok(Step::Record(_)) => continue,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
        chunk_count += 1;
    };
    assert!(chunk_count <= RECORD_BYTES_MAX / CHUNK_BYTES + 2, "read {chunk_count} chunks");
    assert_eq!(error.to_string(), "record at line 2, byte 3 is longer than 4194304 bytes");
    assert!(error.hint().unwrap().contains("opened in line 2"));
    decoder.push(chunk);
    assert!(decoder.step().is_err(), "there is no way back");
}

#[test]
fn one_chunk_far_past_the_limit_is_not_searched_to_its_end() {
    // 64 MiB take seconds to search without optimisation; the limit takes nothing.
    let chunk = Bytes::from(vec![b'x'; 64 << 20]);
    let mut decoder = CsvDecoder::new(CSV, 1 << 10);
    decoder.push(chunk);
    assert!(decoder.step().is_err());
}

#[test]
fn a_long_record_in_small_chunks_takes_linear_time() {
    // Were the carry searched anew for each chunk, these 8 MiB would be 32 GiB.
    const CHUNK_BYTES: usize = 1 << 10;
    const CHUNK_COUNT: usize = 8 << 10;
    let chunk = Bytes::from("ab\"\"c,d\n".repeat(CHUNK_BYTES / 8));
    let mut decoder = CsvDecoder::new(CSV, 2 * CHUNK_BYTES * CHUNK_COUNT);
    decoder.push(Bytes::from_static(b"\""));
    for _ in 0..CHUNK_COUNT {
        assert!(matches!(decoder.step(), Ok(Step::NeedInput)));
        decoder.push(chunk.clone());
    }
    assert!(matches!(decoder.step(), Ok(Step::NeedInput)));
    decoder.push(Bytes::from_static(b"\"\nnext"));
    let Ok(Step::Record(record)) = decoder.step() else { panic!("no record") };
    assert_eq!(record.raw.len(), CHUNK_BYTES * CHUNK_COUNT + 3);
    assert_eq!(record.field(0).unwrap().bytes.len(), CHUNK_BYTES * CHUNK_COUNT * 7 / 8);
    decoder.finish();
    assert!(matches!(decoder.step(), Ok(Step::Record(_))));
    assert!(matches!(decoder.step(), Ok(Step::End)));
}

#[test]
fn a_record_with_too_many_fields_is_malformed() {
    let most = ",".repeat(FIELD_COUNT_MAX - 1);
    let text = format!("{most}\n{most},\n\"\"x{most},\na,b\n");
    for size in [text.len(), 4096, 1001] {
        let steps = decode(CSV, AMPLE_BYTES, text.as_bytes().chunks(size));
        assert!(matches!(&steps[0], Seen::Record { fields, .. } if fields.len() == FIELD_COUNT_MAX));
        let texts: Vec<_> = steps[1..].iter().map(Seen::text).collect();
        let expected = [
            "2:65536 field 65536: too many fields",
            "3:131073 field 0: text after a closing quote",
            "4:196613 a|b",
        ];
        assert_eq!(texts, expected);
        assert_covers(CSV, text.as_bytes(), &steps);
    }
}

#[test]
fn a_chunk_pushed_early_loses_nothing() {
    let mut decoder = CsvDecoder::new(CSV, AMPLE_BYTES);
    decoder.push(Bytes::from_static(b"a\nb\n\"c"));
    assert!(matches!(decoder.step(), Ok(Step::Record(_))));
    decoder.push(Bytes::from_static(b"\"\nd"));
    decoder.finish();
    for expected in ["b", "c", "d"] {
        let Ok(Step::Record(record)) = decoder.step() else { panic!("no record") };
        assert_eq!(record.field(0).unwrap().bytes, expected.as_bytes());
    }
    assert!(matches!(decoder.step(), Ok(Step::End)));
}
