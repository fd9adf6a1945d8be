//! What a dialect may ask for beyond comma and quotes: cases by hand, and byte soup against the reference.

use bytes::Bytes;
use holoload::decode::csv::{CsvDecoder, Delimiter, Dialect, Marker, RecordEnd, StrayQuotes};
use holoload::decode::{Malformation, Step};
use proptest::prelude::*;

use super::steps::{Seen, assert_resumes, decode, decode_in_all_chunkings};
use super::{AMPLE_BYTES, BACKSLASH, CSV, UNQUOTED, delimited, reference};

const ACCEPTING: Dialect = Dialect { stray_quotes: StrayQuotes::Accept, ..CSV };
const TRIMMED: Dialect = Dialect { passes_blanks: true, ..CSV };

fn commented(marker: &str) -> Dialect {
    Dialect { comment: Marker::new(marker.as_bytes()), ..CSV }
}

const fn ended(record_end: RecordEnd) -> Dialect {
    Dialect { record_end, ..CSV }
}

const fn limited(field_bytes_max: u32) -> Dialect {
    Dialect { field_bytes_max: Some(field_bytes_max), ..CSV }
}

/// Every case in every chunking, and by the reference.
#[track_caller]
fn assert_cases(cases: &[(Dialect, &[u8], &[&str])]) {
    for (dialect, input, expected) in cases {
        let steps = decode_in_all_chunkings(*dialect, AMPLE_BYTES, input);
        let texts: Vec<_> = steps.iter().map(Seen::text).collect();
        assert_eq!(&texts, expected, "`{}` as {dialect:?}", input.escape_ascii());
        assert_eq!(reference::decode(*dialect, input), steps, "`{}`", input.escape_ascii());
    }
}

#[test]
fn escapes_outside_quotes_make_marks_data_and_nothing_else() {
    const ESCAPED: Dialect = Dialect { escapes_unquoted: true, ..BACKSLASH };
    const BARE: Dialect = Dialect { quote: None, ..ESCAPED };
    assert_cases(&[
        (ESCAPED, br"a\,b,c", &["1:0 <a,b>|c"]),
        (ESCAPED, br#"\"a\\,\",C:\new"#, &[r#"1:0 <"a\>|<">|C:\new"#]),
        // What stands for NULL and what is escaped so as not to.
        (ESCAPED, br"\N,\\N,a\", &[r"1:0 \N|<\N>|a\"]),
        (ESCAPED, b"a\\\nb,c\nd,e", &["1:0 <a\nb>|c", "3:7 d|e"]),
        (ESCAPED, b"a\\\r\nb\r\nc", &["1:0 <a\r\nb>", "3:7 c"]),
        (ESCAPED, br#""a\",b",\,"#, &[r#"1:0 <a",b>|<,>"#]),
        (ESCAPED, br#""a"\,b,c"#, &["1:0 field 0: text after a closing quote"]),
        (BARE, br#""a\,b",c"#, &[r#"1:0 <"a,b">|c"#]),
        (Dialect { record_end: RecordEnd::Crlf, ..BARE }, b"a\\\r\nb\r\nc", &["1:0 <a\r\nb>", "3:7 c"]),
        (Dialect { record_end: RecordEnd::Lf, ..BARE }, b"a\\\nb\r\nc", &["1:0 <a\nb\r>", "3:6 c"]),
        // Not asked for, or with nothing to ask for.
        (BACKSLASH, br"a\,b", &[r"1:0 a\|b"]),
        (Dialect { escapes_unquoted: true, ..CSV }, br"a\,b", &[r"1:0 a\|b"]),
    ]);
}

#[test]
fn empty_lines_are_records_where_that_is_asked_for() {
    const KEEPING: Dialect = Dialect { keeps_empty_lines: true, ..CSV };
    assert_cases(&[
        (KEEPING, b"", &[]),
        (KEEPING, b"a\n", &["1:0 a"]),
        (KEEPING, b"a\n\nb\n\n", &["1:0 a", "2:2 ", "3:3 b", "4:5 "]),
        (KEEPING, b"\r\n\r\na\r\n", &["1:0 ", "2:2 ", "3:4 a"]),
        (Dialect { comment: Marker::new(b"#"), skip_lines: 1, ..KEEPING }, b"\n#\n\na", &["3:3 ", "4:4 a"]),
        (Dialect { record_end: RecordEnd::Crlf, ..KEEPING }, b"\r\n\n\r\n", &["1:0 ", "2:2 \n"]),
    ]);
}

#[test]
fn a_delimiter_at_the_end_starts_no_field_where_that_is_asked_for() {
    const DROPPING: Dialect = Dialect { drops_last_delimiter: true, ..CSV };
    assert_cases(&[
        (DROPPING, b"a,b,\nc,,\n,\n\"\"\n", &["1:0 a|b", "2:5 c|", "3:9 ", "4:11 <>"]),
        (DROPPING, b"a,\"\"\nb,c", &["1:0 a|<>", "2:5 b|c"]),
        (Dialect { passes_blanks: true, ..DROPPING }, b"a, \n\"b\" ,", &["1:0 a| ", "2:4 <b>"]),
    ]);
}

#[test]
fn a_marker_has_1_to_8_bytes() {
    assert_eq!(Marker::new(b""), None);
    assert_eq!(Marker::new(b"123456789"), None);
    assert_eq!(Marker::new(b"12345678").unwrap().as_bytes(), b"12345678");
    assert_eq!(Marker::new(b",").unwrap(), Delimiter::from(b','));
    assert_eq!(Marker::from(b',').byte(), Some(b','));
    assert_eq!(Marker::new(b",,").unwrap().byte(), None);
}

#[test]
fn a_delimiter_may_have_several_bytes() {
    let bars = delimited("||");
    let word = delimited("aab");
    let ideographic = delimited("、");
    assert_cases(&[
        (bars, b"a||b||c\n", &["1:0 a|b|c"]),
        (bars, b"a|b||c", &["1:0 a|b|c"]),
        (bars, b"||\n||||x\n", &["1:0 |", "2:3 ||x"]),
        (bars, b"a|||b|||\n", &["1:0 a||b||"]),
        (bars, b"\"a||b\"||\"c\"\n\"d\"", &["1:0 <a||b>|<c>", "2:12 <d>"]),
        (bars, b"\"a\"|b||c\nd\n", &["1:0 field 0: text after a closing quote", "2:9 d"]),
        (bars, b"\"a\"|||b\n", &["1:0 <a>||b"]),
        (bars, b"\"a\"|", &["1:0 field 0: text after a closing quote"]),
        (bars, b"a,b|\n", &["1:0 a,b|"]),
        (word, b"aaab1aab2\n", &["1:0 a|1|2"]),
        (word, b"\"x\"aaab1\n", &["1:0 field 0: text after a closing quote"]),
        (word, b"\"x\"aab1\naab\n", &["1:0 <x>|1", "2:8 |"]),
        (ideographic, "日、本、\n".as_bytes(), &["1:0 日|本|"]),
        (delimited("<=====>"), b"1<=====>2<====>3\n", &["1:0 1|2<====>3"]),
        (Dialect { quote: None, ..bars }, b"\"a||b\"\n", &["1:0 \"a|b\""]),
        (Dialect { escape: BACKSLASH.escape, ..bars }, b"\"a\\\"||b\"||\\|\n", &["1:0 <a\"||b>|\\|"]),
    ]);
}

#[test]
fn a_comment_is_a_line_where_a_record_could_begin() {
    assert_cases(&[
        (commented("#"), b"#x\na\n", &["2:3 a"]),
        (commented("#"), b"a\n#x,\"\nb\n#", &["1:0 a", "3:7 b"]),
        (commented("#"), b"\n\n#\r\n#\r#\n\na#\n,#\n", &["7:10 a#", "8:13 |#"]),
        (commented("#"), b" #x\n\"#\"\n\"a\n#b\"\n#\n", &["1:0  #x", "2:4 <#>", "3:8 <a\n#b>"]),
        (commented("//"), b"//\n/a\n/\n", &["2:3 /a", "3:6 /"]),
        (commented("//"), b"a\r//x\r\n/", &["1:0 a", "3:7 /"]),
        (commented("#"), b"\xef\xbb\xbf#x\na\n", &["2:6 a"]),
        (Dialect { skip_lines: 2, ..commented("#") }, b"#1\nx\n#2\na\n", &["4:8 a"]),
        (
            Dialect { record_end: RecordEnd::Crlf, ..commented("#") },
            b"#a\nb\r\rc\r\n#\n\r\nd\r\n",
            &["3:13 d"],
        ),
    ]);
}

#[test]
fn a_restricted_line_end_leaves_the_others_to_the_data() {
    assert_cases(&[
        (ended(RecordEnd::Lf), b"a\r\nb\rc\n\n\r\n", &["1:0 a\r", "2:3 b\rc", "4:8 \r"]),
        (ended(RecordEnd::Cr), b"a\r\nb\r\rc\n", &["1:0 a", "2:2 \nb", "4:6 c\n"]),
        (ended(RecordEnd::Crlf), b"a\nb\rc\r\nd\r\n", &["1:0 a\nb\rc", "2:7 d"]),
        (ended(RecordEnd::Crlf), b"\r\n\n\r\n\r", &["2:2 \n", "3:5 \r"]),
        (ended(RecordEnd::Crlf), b"\r\r\n\"a\"\r\n", &["1:0 \r", "2:3 <a>"]),
        (ended(RecordEnd::Crlf), b"\"a\n\r\n\",b,\r\nc\r\n", &["1:0 <a\n\r\n>|b|", "3:11 c"]),
        (ended(RecordEnd::Crlf), b"\"a\"\nb\r\nc\r\n", &["1:0 field 0: text after a closing quote", "2:7 c"]),
        (ended(RecordEnd::Crlf), b"\"a\"\r", &["1:0 field 0: text after a closing quote"]),
        (ended(RecordEnd::Lf), b"\"a\"\r\nb", &["1:0 field 0: text after a closing quote", "2:5 b"]),
        (ended(RecordEnd::Cr), b"\"\n\",\"\r\"\rx", &["1:0 <\n>|<\r>", "3:8 x"]),
        (Dialect { skip_lines: 1, ..ended(RecordEnd::Crlf) }, b"a\nb\r\r\nc\r\n", &["2:6 c"]),
        (Dialect { skip_lines: 2, ..ended(RecordEnd::Lf) }, b"a\rb\n\nc", &["3:5 c"]),
    ]);
}

#[test]
fn a_stray_quote_is_data_where_that_is_asked_for() {
    let bars = Dialect { stray_quotes: StrayQuotes::Accept, ..delimited("||") };
    assert_cases(&[
        (ACCEPTING, b"\"foo\"bar\",\"hoge\"fuga\"\n", &["1:0 <foo\"bar>|<hoge\"fuga>"]),
        (ACCEPTING, b"\"a\"\"b\",\"c\"\n", &["1:0 <a\"b>|<c>"]),
        (ACCEPTING, b"\"a\" ,b\"\nc", &["1:0 <a\" ,b>", "2:8 c"]),
        (ACCEPTING, b"\"a\"x\nb\"\n", &["1:0 <a\"x\nb>"]),
        (ACCEPTING, b"\"a\"", &["1:0 <a>"]),
        (ACCEPTING, b"\"a\"b\n,c\n", &["1:0 field 0: a quoted field is never closed"]),
        (ACCEPTING, b"\"a\"b", &["1:0 field 0: a quoted field is never closed"]),
        (ACCEPTING, b"a\"b\n", &["1:0 a\"b"]),
        (ACCEPTING, b"\"a \"b\"\",\"c\"\"\n\"d\"\"\"", &["1:0 <a \"b\">|<c\">", "2:13 <d\">"]),
        (ACCEPTING, b"\"\",\"\"\"\n\"\"\"\"\n", &["1:0 <>|<\">", "2:7 <\">"]),
        (ACCEPTING, b"\"a\"\"b,c\"\n", &["1:0 <a\"b,c>"]),
        (Dialect { escape: BACKSLASH.escape, ..ACCEPTING }, b"\"a\"\\\"b\\\\\"\n", &["1:0 <a\"\"b\\>"]),
        (bars, b"\"a\"|\"||b\n", &["1:0 <a\"|>|b"]),
        (bars, b"\"a\"|b\"||\"c\"|", &["1:0 field 1: a quoted field is never closed"]),
        (
            Dialect { record_end: RecordEnd::Crlf, ..ACCEPTING },
            b"\"a\"\nb\"\rc\"\r\nd",
            &["1:0 <a\"\nb\"\rc>", "2:11 d"],
        ),
        (Dialect { passes_blanks: true, ..ACCEPTING }, b" \"a\" b\" , \"c\"\n", &["1:0 <a\" b>|<c>"]),
    ]);
}

#[test]
fn blanks_beside_quotes_are_passed_over_where_fields_are_trimmed() {
    assert_cases(&[
        (CSV, b" \"a\"\n", &["1:0  \"a\""]),
        (TRIMMED, b" \"a\" ,\t\"b\"\t\n", &["1:0 <a>|<b>"]),
        (TRIMMED, b"  a  , b \"c\"\n", &["1:0   a  | b \"c\""]),
        (TRIMMED, b"\" a \"  \r\n\"b\" ", &["1:0 < a >", "2:9 <b>"]),
        (TRIMMED, b"\"a\" \"b\",c\nd\n", &["1:0 field 0: text after a closing quote", "2:10 d"]),
        (TRIMMED, b"\" \" \"b\n", &["1:0 field 0: text after a closing quote"]),
        (TRIMMED, b"\"\" \"\n", &["1:0 field 0: text after a closing quote"]),
        (TRIMMED, b"          \"a\"          ,b\n", &["1:0 <a>|b"]),
        (Dialect { delimiter: b'\t'.into(), ..TRIMMED }, b" \"a\" \t \"b\"\t\n", &["1:0 <a>|<b>|"]),
        (
            Dialect { delimiter: Delimiter::new(b" | ").unwrap(), ..TRIMMED },
            b" \"a\"  |  \"b\" | c | \n",
            &["1:0 <a>|<b>|c|"],
        ),
    ]);
}

#[test]
fn a_quoted_field_may_be_as_long_as_the_limit() {
    let too_long = "a quoted field is longer than `field_bytes_max`";
    let (first, second) = (format!("1:0 field 0: {too_long}"), format!("2:6 field 1: {too_long}"));
    let (first, second) = (first.as_str(), second.as_str());
    let accepting = Dialect { stray_quotes: StrayQuotes::Accept, ..limited(3) };
    assert_cases(&[
        (limited(3), b"\"abc\",abcd\n", &["1:0 <abc>|abcd"]),
        (limited(3), b"\"abcd\",e\nf\n", &[first, "2:9 f"]),
        (limited(3), b"\"a\"\"\"\"\",b\n", &["1:0 <a\"\">|b"]),
        (limited(3), b"\"a\"\"\"\"\"\"\",b\n", &[first]),
        (limited(8), b"v1,v2\nv3,\"0123456789\"\n", &["1:0 v1|v2", second]),
        (limited(8), b"\"012345\n6789\",v3\n", &[first, "2:8 6789\"|v3"]),
        (
            limited(12),
            b"v1,v2\nv3,\"0123\nv4,v5\nv6,v7\n",
            &["1:0 v1|v2", second, "3:15 v4|v5", "4:21 v6|v7"],
        ),
        (
            limited(3),
            b"\"a\nb\",\"c\nd\",\"e\nfgh\"\ni\n",
            &["1:0 field 2: a quoted field is longer than `field_bytes_max`", "4:15 fgh\"", "5:20 i"],
        ),
        (
            limited(3),
            b"\"a\"x,\"bcde\nf\"\n",
            &["1:0 field 1: a quoted field is longer than `field_bytes_max`", "2:11 f\""],
        ),
        (limited(2), b"\"a\r\r\nb", &[first, "3:5 b"]),
        (limited(2), b"\"ab\r\nc", &[first, "2:5 c"]),
        (limited(2), b"\"abc\r\nd", &[first, "2:6 d"]),
        (
            limited(2),
            b"\"ab\n\"\"\n\"\"\"c",
            &[first, "2:4 <>", "3:7 field 0: a quoted field is never closed"],
        ),
        (accepting, b"\"ab\"cd\ne\",\"f\"\ng\n", &[first, "3:14 g"]),
        (accepting, b"\"abcd\nf\n", &["1:0 field 0: a quoted field is never closed"]),
        (
            Dialect { escape: BACKSLASH.escape, ..limited(1) },
            b"\"\\\"\",\"\\\\\",\"\\a\"\n",
            &["1:0 field 2: a quoted field is longer than `field_bytes_max`"],
        ),
        (Dialect { quote: None, ..limited(1) }, b"\"ab\"\n", &["1:0 \"ab\""]),
    ]);
}

#[test]
fn a_quote_that_is_never_closed_loses_its_line_alone() {
    let lost = |at: &str, field: usize| format!("{at} field {field}: a quoted field is never closed");
    let (first, second) = (lost("1:0", 0), lost("2:2", 2));
    let (first, second) = (first.as_str(), second.as_str());
    assert_cases(&[
        (CSV, b"\"a\nb\nc", &[first, "2:3 b", "3:5 c"]),
        (CSV, b"\"a\r\nb\r\n", &[first, "2:4 b"]),
        (CSV, b"\"a\r", &[first]),
        (CSV, b"a\nb,c,\"d\n\n#e,f\n", &["1:0 a", second, "4:10 #e|f"]),
        (CSV, b"\"a\"\"\n\"\"\nc\"\"d\n", &[first, "2:5 <>", "3:8 c\"\"d"]),
        (CSV, b"\"a\"x,\"c\nd\n", &[lost("1:0", 1).as_str(), "2:8 d"]),
        // The lines that the record's closed fields take are lost with it.
        (CSV, b"\"a\nb\",\"c\nd\",\"e\nf\ng", &[lost("1:0", 2).as_str(), "4:15 f", "5:17 g"]),
        (BACKSLASH, b"\"a\\\"\nb\\\"c\n\\\n", &[first, "2:5 b\\\"c", "3:10 \\"]),
        (delimited("||"), b"\"a\nb||c\n", &[first, "2:3 b|c"]),
        (commented("#"), b"\"a\n#b\nc\n", &[first, "3:6 c"]),
        (ended(RecordEnd::Crlf), b"\"a\nb\r\nc\r\n", &[first, "2:6 c"]),
        (ACCEPTING, b"\"a\nb\nc", &[first]),
    ]);
}

#[test]
fn lost_lines_are_read_again_once() {
    // Read again for each of its lines, the first of these would be read a hundred thousand times.
    let lines = 100_000;
    let closed = "\"a\nb\",".repeat(lines) + "\"open";
    let doubled = "\"\n".to_owned() + &"\"\"\n".repeat(lines);
    let plain = "\"\n".to_owned() + &"x\n".repeat(lines);
    for (text, record_count, malformed_count) in [(closed, 0, 1), (doubled, lines, 1), (plain, lines, 1)] {
        for dialect in [CSV, limited(1 << 19)] {
            let steps = decode(dialect, 2 * AMPLE_BYTES, text.as_bytes().chunks(10_007));
            let is_malformed = |step: &&Seen| matches!(step, Seen::Malformed { .. });
            assert_eq!(steps.iter().filter(is_malformed).count(), malformed_count);
            assert_eq!(steps.len() - malformed_count, record_count);
        }
    }
    let overlong = format!("\"{}\n", "y".repeat(999)).repeat(2) + &"x\n".repeat(10);
    let text = overlong.repeat(2_000);
    let steps = decode(limited(500), AMPLE_BYTES, text.as_bytes().chunks(100_003));
    assert_eq!(steps.len(), 12 * 2_000);
}

#[test]
fn what_is_given_back_is_joined_to_what_follows() {
    let mut decoder = CsvDecoder::new(limited(4), AMPLE_BYTES);
    decoder.push(Bytes::from_static(b"\"ab\nc"));
    assert!(matches!(decoder.step(), Ok(Step::NeedInput)));
    decoder.push(Bytes::from_static(b"def\ng"));
    let step = decoder.step();
    let Ok(Step::Malformed { raw, malformation: Malformation::FieldTooLong, field: 0, .. }) = step else {
        panic!("{step:?}")
    };
    assert_eq!(raw, b"\"ab\n");
    let Ok(Step::Record(record)) = decoder.step() else { panic!("no record") };
    assert_eq!((record.position.line, record.raw), (2, &b"cdef\n"[..]));
    decoder.finish();
    let Ok(Step::Record(record)) = decoder.step() else { panic!("no record") };
    assert_eq!((record.position.line, record.position.byte, record.raw), (3, 9, &b"g"[..]));
    assert!(matches!(decoder.step(), Ok(Step::End)));
}

/// Bytes in which everything that means something to [`dialects`] is frequent.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "a", "bc", ",", "\"", "\"\"", "\r", "\n", "\r\n", "\\", "|", "||", " | ", " ", "\t", "#", "/", "//",
        "\u{feff}", "\"\n", ",\"", "\"||", "aab", "\n#", "、",
    ];
    let long = " ".repeat(70);
    let word = prop_oneof![
        40 => prop::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => Just(long.into_bytes()),
    ];
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let delimiter = prop::sample::select(vec![",", "||", " | ", "\t", "aab", "、", "|", " "]);
    let record_end =
        prop::sample::select(vec![RecordEnd::Any, RecordEnd::Lf, RecordEnd::Crlf, RecordEnd::Cr]);
    let comment = prop::sample::select(vec![None, Some("#"), Some("//")]);
    let base = prop::sample::select(vec![CSV, CSV, BACKSLASH, BACKSLASH, UNQUOTED]);
    let stray = prop::sample::select(vec![StrayQuotes::Refuse, StrayQuotes::Refuse, StrayQuotes::Accept]);
    let limit = prop::sample::select(vec![None, None, Some(0), Some(1), Some(3), Some(9)]);
    let more = any::<[bool; 4]>();
    (delimiter, record_end, comment, base, stray, limit, more, 0..2_u64).prop_map(
        |(delimiter, record_end, comment, base, stray_quotes, field_bytes_max, more, skip_lines)| {
            let [passes_blanks, escapes_unquoted, keeps_empty_lines, drops_last_delimiter] = more;
            Dialect {
                delimiter: Delimiter::new(delimiter.as_bytes()).unwrap(),
                comment: comment.and_then(|text| Marker::new(text.as_bytes())),
                record_end,
                stray_quotes,
                field_bytes_max,
                passes_blanks,
                escapes_unquoted,
                keeps_empty_lines,
                drops_last_delimiter,
                skip_lines,
                ..base
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_dialect_are_what_the_reference_makes_of_them(
        input in soup(), dialect in dialects(), sizes in prop::collection::vec(1..9_usize, 1..4),
    ) {
        let whole = decode(dialect, AMPLE_BYTES, [&input[..]]);
        prop_assert_eq!(&whole, &reference::decode(dialect, &input));
        for size in sizes {
            prop_assert_eq!(&decode(dialect, AMPLE_BYTES, input.chunks(size)), &whole, "chunks of {}", size);
        }
        assert_resumes(dialect, AMPLE_BYTES, &input, &whole);
    }
}
