//! Rules of columns: what each reads, what it refuses and why, and that without one nothing changes.

use holoload::row::{Conversion, Encoder, Epoch, Reason, Rules, Slot, TimeFormat, Trim};
use holoload::table::Kind;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::{
    Bool, Clock, Day, F64, I16, I32, I64, Moment, NUMERIC, Num, POS, Same, TEXT, TIME, TIMESTAMP, TIMESTAMP0,
    TIMESTAMPTZ, Wire, encode, encode_fields, numeric, slot, zone,
};

fn texts(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn encoder_with(kind: Kind, conversion: Conversion, rules: Rules) -> Encoder {
    let slots = vec![Slot { conversion: Some(0), ..slot(kind, 0) }];
    Encoder::new(rules, slots, 1).with_conversions(vec![conversion])
}

/// One field, quoted or not; `None` is NULL.
fn by_rules(
    kind: Kind,
    conversion: &Conversion,
    rules: &Rules,
    text: &str,
    is_quoted: bool,
) -> Result<Option<Vec<u8>>, Reason> {
    let encoder = encoder_with(kind, conversion.clone(), rules.clone());
    let (bytes, _) =
        encode_fields(&encoder, &[(text.as_bytes(), is_quoted)]).map_err(|refusal| refusal.reason)?;
    let (length, value) = bytes.split_first_chunk::<4>().unwrap();
    let length = i32::from_be_bytes(*length);
    Ok((length >= 0).then(|| value.to_vec()))
}

/// A quoted field, which is no NULL.
fn value(kind: Kind, conversion: &Conversion, text: &str) -> Result<Vec<u8>, Reason> {
    let rules = Rules { zone: zone("America/New_York"), ..Rules::default() };
    by_rules(kind, conversion, &rules, text, true).map(|value| value.expect("no NULL"))
}

fn check(kind: Kind, conversion: &Conversion, accepted: &[(&str, Wire)], refused: &[(&str, Reason)]) {
    for (text, wire) in accepted {
        assert_eq!(value(kind, conversion, text), Ok(wire.bytes(text.as_bytes())), "{text} {conversion:?}");
    }
    for (text, reason) in refused {
        assert_eq!(value(kind, conversion, text), Err(*reason), "{text} {conversion:?}");
    }
}

#[test]
fn thousands_stand_between_groups_of_three() {
    let commas = Conversion { thousands: Some(b",".to_vec()), ..Conversion::default() };
    let refused = |text| (text, Reason::Grouping);
    check(
        Kind::Int8,
        &commas,
        &[
            ("1,234,567", I64(1_234_567)),
            ("-1,234", I64(-1234)),
            ("+12,345", I64(12_345)),
            ("999", I64(999)),
            ("1234567", I64(1_234_567)),
        ],
        &[
            refused("1,23"),
            refused("12,34,567"),
            refused("1234,567"),
            refused(",123"),
            refused("1,"),
            refused("1,,234"),
            refused("0,123"),
            refused("1,2345"),
            refused("1,234,"),
            ("1,234.5", Reason::NotInteger),
            ("1 234", Reason::NotInteger),
            ("$1,234", Reason::NotInteger),
            ("1,234%", Reason::NotInteger),
            ("(1,234)", Reason::NotInteger),
            ("", Reason::NotInteger),
        ],
    );
    check(
        numeric(12, 2),
        &commas,
        &[
            ("1,234.50", Num(0, POS, 2, &[1234, 5000])),
            (".5", Num(-1, POS, 2, &[5000])),
            ("12e2", Num(0, POS, 2, &[1200])),
        ],
        &[
            ("1,234,5", Reason::Grouping),
            ("1.234,50", Reason::NotNumber),
            ("1,234.5.0", Reason::NotNumber),
            ("1,234.567", Reason::DecimalPlaces { scale: 2 }),
        ],
    );
    for separator in [".", "'", " ", "\u{a0}", "\u{202f}", "_"] {
        let rule = Conversion { thousands: Some(separator.as_bytes().to_vec()), ..Conversion::default() };
        assert_eq!(
            value(Kind::Int4, &rule, &format!("1{separator}234{separator}567")),
            Ok(I32(1_234_567).bytes(b""))
        );
        assert_eq!(value(Kind::Int4, &rule, &format!("1{separator}23")), Err(Reason::Grouping));
    }
}

#[test]
fn decimal_places_stand_behind_a_comma() {
    let comma = Conversion { decimal_comma: true, ..Conversion::default() };
    check(
        NUMERIC,
        &comma,
        &[
            ("1,50", Num(0, POS, 2, &[1, 5000])),
            ("-0,5", Num(-1, 0x4000, 1, &[5000])),
            (",5", Num(-1, POS, 1, &[5000])),
            ("7", Num(0, POS, 0, &[7])),
        ],
        &[("1.50", Reason::DecimalMark), ("1,5,0", Reason::NotNumber), ("1,5.0", Reason::NotNumber)],
    );
    check(
        Kind::Float8,
        &comma,
        &[("1,5e3", F64(1500.0)), ("NaN", F64(f64::NAN))],
        &[("1.5e3", Reason::DecimalMark)],
    );
    let german = Conversion { thousands: Some(b".".to_vec()), ..comma };
    check(
        NUMERIC,
        &german,
        &[("1.234,50", Num(0, POS, 2, &[1234, 5000])), ("1.234", Num(0, POS, 0, &[1234]))],
        &[("1,234.50", Reason::NotNumber), ("1.5", Reason::Grouping)],
    );
    check(Kind::Int4, &german, &[("1.234", I32(1234))], &[("1.234,00", Reason::NotInteger)]);
}

#[test]
fn full_width_digits_are_digits() {
    let wide = Conversion { full_width: true, ..Conversion::default() };
    check(
        Kind::Int8,
        &wide,
        &[("１２３", I64(123)), ("－４", I64(-4)), ("＋4", I64(4)), ("−４", I64(-4))],
        &[("１２Ａ", Reason::NotInteger), ("一", Reason::NotInteger)],
    );
    check(
        numeric(6, 2),
        &wide,
        &[("１２．５０", Num(0, POS, 2, &[12, 5000]))],
        &[("￥１２", Reason::NotNumber)],
    );
    check(
        Kind::Date,
        &wide,
        &[("２０２４／０１／０５", Day("2024-01-05")), ("２０２４－１－５", Day("2024-01-05"))],
        &[],
    );
    check(TIME, &wide, &[("１２：３４", Clock("12:34"))], &[]);
    check(TIMESTAMP, &wide, &[("２０２４－０１－０５　１２：３４", Moment("2024-01-05T12:34"))], &[]);
    check(
        TEXT,
        &wide,
        &[
            ("０３－１２", Wire::Bytes(b"03-12")),
            ("東京１丁目", Wire::Bytes("東京1丁目".as_bytes())),
            ("／：　", Same),
        ],
        &[],
    );
    let both = Conversion { thousands: Some(b",".to_vec()), ..wide.clone() };
    check(
        Kind::Int4,
        &both,
        &[("１，２３４", I32(1234)), ("1,234", I32(1234))],
        &[("１，２３", Reason::Grouping)],
    );
    let format = Conversion { formats: vec![TimeFormat::new("%Y年%m月%d日").unwrap()], ..wide };
    check(Kind::Date, &format, &[("２０２４年１月５日", Day("2024-01-05"))], &[]);
    check(Kind::Int8, &Conversion::default(), &[], &[("１", Reason::NotInteger)]);
}

#[test]
fn words_for_true_and_false_are_the_given_ones_alone() {
    let words = Conversion {
        true_words: texts(&["あり", "Ja"]),
        false_words: texts(&["なし", "Nein"]),
        ..Conversion::default()
    };
    check(
        Kind::Bool,
        &words,
        &[("あり", Bool(true)), ("なし", Bool(false)), ("JA", Bool(true)), ("nein", Bool(false))],
        &[
            ("true", Reason::NotBoolean),
            ("0", Reason::NotBoolean),
            ("NO", Reason::NotBoolean),
            ("あ", Reason::NotBoolean),
        ],
    );
    let half = Conversion { true_words: texts(&["○"]), ..Conversion::default() };
    check(
        Kind::Bool,
        &half,
        &[("○", Bool(true)), ("no", Bool(false))],
        &[("yes", Reason::NotBoolean), ("×", Reason::NotBoolean)],
    );
}

#[test]
fn moments_are_counted_from_1970() {
    let by = |unit| Conversion { epoch: Some(unit), ..Conversion::default() };
    let moment = Moment("2014-05-13T16:53:20.123");
    for (unit, text) in [
        (Epoch::Seconds, "1400000000.123"),
        (Epoch::Milliseconds, "1400000000123"),
        (Epoch::Microseconds, "1400000000123000"),
        (Epoch::Nanoseconds, "1400000000123000000"),
        (Epoch::Milliseconds, "1400000000123.000"),
        (Epoch::Milliseconds, "+01400000000123"),
    ] {
        check(TIMESTAMPTZ, &by(unit), &[(text, moment)], &[]);
        check(TIMESTAMP, &by(unit), &[(text, moment)], &[]);
    }
    check(
        TIMESTAMPTZ,
        &by(Epoch::Milliseconds),
        &[
            ("0", Moment("1970-01-01T00:00")),
            ("-1", Moment("1969-12-31T23:59:59.999")),
            ("0.001", Moment("1970-01-01T00:00:00.000001")),
        ],
        &[
            ("1.0001", Reason::SecondDigits { digits: 6 }),
            ("-0.0001", Reason::SecondDigits { digits: 6 }),
            ("", Reason::NotEpoch),
            ("1e3", Reason::NotEpoch),
            ("1.", Reason::NotEpoch),
            (".5", Reason::NotEpoch),
            ("--1", Reason::NotEpoch),
            ("2014-05-13", Reason::NotEpoch),
            ("99999999999999999999", Reason::Year),
            ("999999999999999999999", Reason::Year),
        ],
    );
    check(
        TIMESTAMPTZ,
        &by(Epoch::Nanoseconds),
        &[("1000", Moment("1970-01-01T00:00:00.000001"))],
        &[("1", Reason::SecondDigits { digits: 6 })],
    );
    check(
        TIMESTAMP0,
        &by(Epoch::Milliseconds),
        &[("1000", Moment("1970-01-01T00:00:01"))],
        &[("1001", Reason::SecondDigits { digits: 0 })],
    );
    check(
        Kind::Date,
        &by(Epoch::Milliseconds),
        &[("86400000", Day("1970-01-02"))],
        &[("86400001", Reason::TimeInDate)],
    );
    let tokyo = Conversion { zone: Some(zone("Asia/Tokyo")), ..by(Epoch::Seconds) };
    check(TIMESTAMP, &tokyo, &[("0", Moment("1970-01-01T09:00"))], &[]);
    check(Kind::Date, &tokyo, &[("54000", Day("1970-01-02"))], &[("0", Reason::TimeInDate)]);
    check(TIMESTAMPTZ, &tokyo, &[("0", Moment("1970-01-01T00:00"))], &[]);
    check(
        TIMESTAMPTZ,
        &Conversion { formats: vec![TimeFormat::new("%s.%N").unwrap()], ..Conversion::default() },
        &[("1.5", Moment("1970-01-01T00:00:01.5"))],
        &[],
    );
}

fn formats(patterns: &[&str]) -> Conversion {
    Conversion {
        formats: patterns.iter().map(|pattern| TimeFormat::new(pattern).unwrap()).collect(),
        ..Conversion::default()
    }
}

#[test]
fn times_are_read_by_the_first_format_that_fits() {
    check(
        Kind::Date,
        &formats(&["%d/%m/%Y", "%Y%m%d", "%d %b %Y %H:%M"]),
        &[
            ("05/01/2024", Day("2024-01-05")),
            ("20240105", Day("2024-01-05")),
            ("5 Jan 2024 00:00", Day("2024-01-05")),
        ],
        &[
            ("2024-01-05", Reason::NotFormat),
            ("31/02/2024", Reason::NoSuchDay),
            ("20240230", Reason::NoSuchDay),
            ("5 Jan 2024 00:01", Reason::TimeInDate),
            ("infinity", Reason::NotFormat),
        ],
    );
    check(TIME, &formats(&["%I:%M %p"]), &[("1:05 PM", Clock("13:05"))], &[("13:05", Reason::NotFormat)]);
    check(
        TIMESTAMP0,
        &formats(&["%Y/%m/%d %H:%M:%S.%N"]),
        &[("2024/01/05 12:34:56.000", Moment("2024-01-05T12:34:56"))],
        &[("2024/01/05 12:34:56.1", Reason::SecondDigits { digits: 0 })],
    );
    // Local to New York, the zone of the object.
    check(
        TIMESTAMPTZ,
        &formats(&["%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S %Z"]),
        &[
            ("01.07.2024 12:00:00", Moment("2024-07-01T16:00")),
            ("01.01.2024 12:00:00", Moment("2024-01-01T17:00")),
            ("01.07.2024 12:00:00 +09:00", Moment("2024-07-01T03:00")),
            ("01.07.2024 12:00:00 JST", Moment("2024-07-01T03:00")),
            ("01.07.2024 12:00:00 Europe/Paris", Moment("2024-07-01T10:00")),
            ("01.07.2024 12:00:00 UT", Moment("2024-07-01T12:00")),
            // New York's own abbreviations, in their season; they tell the repeated hour's turns apart.
            ("01.07.2024 12:00:00 EDT", Moment("2024-07-01T16:00")),
            ("03.11.2024 01:30:00 EDT", Moment("2024-11-03T05:30")),
            ("03.11.2024 01:30:00 EST", Moment("2024-11-03T06:30")),
        ],
        &[
            ("10.03.2024 02:30:00", Reason::SkippedLocalTime),
            ("03.11.2024 01:30:00", Reason::AmbiguousLocalTime),
            ("01.07.2024 12:00:00 EST", Reason::ZoneAbbreviation),
            ("01.07.2024 12:00:00 CST", Reason::ZoneAbbreviation),
            ("01.07.2024 12:00:00 Asia/Tokio", Reason::UnknownZone),
            ("01.07.2024 12:00:00 +99", Reason::UnknownZone),
        ],
    );
    // In the form of mail its zones are what its standard says.
    check(
        TIMESTAMPTZ,
        &formats(&["%a, %d %b %Y %H:%M:%S %Z"]),
        &[("Fri, 20 Feb 2015 14:02:34 PST", Moment("2015-02-20T22:02:34"))],
        &[],
    );
}

#[test]
fn a_column_may_have_a_zone_of_its_own() {
    let tokyo = Conversion { zone: Some(zone("Asia/Tokyo")), ..Conversion::default() };
    check(
        TIMESTAMPTZ,
        &tokyo,
        &[
            ("2024-07-01 12:00", Moment("2024-07-01T03:00")),
            ("2024-07-01 12:00Z", Moment("2024-07-01T12:00")),
        ],
        &[],
    );
    let london = Conversion { zone: Some(zone("Europe/London")), ..formats(&["%Y-%m-%d %H:%M"]) };
    check(
        TIMESTAMPTZ,
        &london,
        &[("2024-07-01 12:00", Moment("2024-07-01T11:00"))],
        &[("2024-03-31 01:30", Reason::SkippedLocalTime), ("2024-10-27 01:30", Reason::AmbiguousLocalTime)],
    );
    // A moment in a column without zone is what clocks in the column's zone show.
    let shown = Conversion { zone: Some(zone("Europe/London")), ..formats(&["%Y-%m-%dT%H:%M%z"]) };
    check(
        TIMESTAMP,
        &shown,
        &[
            ("2024-07-01T12:00+09", Moment("2024-07-01T04:00")),
            ("2024-01-01T12:00Z", Moment("2024-01-01T12:00")),
        ],
        &[],
    );
    check(
        Kind::Date,
        &shown,
        &[("2024-07-01T08:00+09", Day("2024-07-01"))],
        &[("2024-07-01T12:00+09", Reason::TimeInDate)],
    );
}

#[test]
fn null_is_what_the_column_says_or_else_the_object() {
    let null = |conversion: &Conversion, rules: &Rules, text: &str, is_quoted| {
        by_rules(TEXT, conversion, rules, text, is_quoted).map(|value| value.is_none()).unwrap()
    };
    let none = Conversion::default();
    let rules = Rules { null_strings: texts(&["", "NULL", "\\N"]), ..Rules::default() };
    for (text, is_quoted, expected) in [
        ("", false, true),
        ("NULL", false, true),
        ("\\N", false, true),
        ("null", false, false),
        ("", true, false),
        ("NULL", true, false),
        ("N", false, false),
    ] {
        assert_eq!(null(&none, &rules, text, is_quoted), expected, "{text:?} {is_quoted}");
        // The same for a column without rules.
        let plain = Encoder::new(rules.clone(), vec![slot(TEXT, 0)], 1);
        let (bytes, _) = encode_fields(&plain, &[(text.as_bytes(), is_quoted)]).unwrap();
        assert_eq!(bytes == [0xff; 4], expected, "{text:?} {is_quoted}");
    }
    let quoted = Rules { null_quoted: true, ..rules.clone() };
    assert!(
        null(&none, &quoted, "NULL", true)
            && null(&none, &quoted, "", true)
            && !null(&none, &quoted, "x", true)
    );
    let own = Conversion { nulls: Some(texts(&["-", "該当なし"])), ..Conversion::default() };
    assert!(null(&own, &rules, "-", false) && null(&own, &rules, "該当なし", false));
    assert!(!null(&own, &rules, "", false) && !null(&own, &rules, "NULL", false));
    let nothing = Rules { null_strings: Vec::new(), ..Rules::default() };
    let plain = Encoder::new(nothing, vec![slot(TEXT, 0)], 1);
    assert_eq!(encode_fields(&plain, &[(b"", false)]).unwrap().0, [0; 4], "no text is NULL");
}

#[test]
fn blanks_go_before_null_is_told() {
    let trimmed = |trim, text: &str, is_quoted| {
        let conversion = Conversion { trim: Some(trim), ..Conversion::default() };
        let value = by_rules(TEXT, &conversion, &Rules::default(), text, is_quoted).unwrap();
        value.map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(trimmed(Trim::None, " a ", false), text(" a "));
    assert_eq!(trimmed(Trim::Unquoted, " \ta b\t ", false), text("a b"));
    assert_eq!(trimmed(Trim::Unquoted, " a ", true), text(" a "));
    assert_eq!(trimmed(Trim::Unquoted, "\u{3000}a\u{a0}", false), text("\u{3000}a\u{a0}"));
    assert_eq!(trimmed(Trim::Unquoted, "  ", false), None);
    assert_eq!(trimmed(Trim::All, "\u{3000} a\u{a0}\u{3000}b \u{a0}", true), text("a\u{a0}\u{3000}b"));
    assert_eq!(trimmed(Trim::All, "\u{3000}", false), None);
    assert_eq!(trimmed(Trim::All, "\u{3000}", true), text(""));
    assert_eq!(trimmed(Trim::All, "日\n", false), text("日\n"), "a line end is no blank");
    // Said for the object, it holds for columns without rules; a column may say otherwise.
    let rules = Rules { trim: Trim::Unquoted, ..Rules::default() };
    let plain = Encoder::new(rules.clone(), vec![slot(Kind::Int2, 0)], 1);
    assert_eq!(encode_fields(&plain, &[(b" 7", false)]).unwrap().0[4..], I16(7).bytes(b""));
    let own = Conversion { trim: Some(Trim::None), ..Conversion::default() };
    assert_eq!(by_rules(Kind::Int2, &own, &rules, " 7", false), Err(Reason::NotInteger));
}

#[test]
fn a_default_stands_in_for_null() {
    let default = Conversion { default: Some(b"0".to_vec()), ..Conversion::default() };
    let rules = Rules::default();
    assert_eq!(by_rules(Kind::Int2, &default, &rules, "", false), Ok(Some(I16(0).bytes(b""))));
    assert_eq!(by_rules(Kind::Int2, &default, &rules, "7", false), Ok(Some(I16(7).bytes(b""))));
    assert_eq!(
        by_rules(Kind::Int2, &default, &rules, "x", false),
        Err(Reason::NotInteger),
        "what is wrong stays wrong"
    );
    let slots = vec![Slot { not_null: true, conversion: Some(0), ..slot(Kind::Int2, 0) }];
    let encoder = Encoder::new(rules.clone(), slots, 1).with_conversions(vec![default]);
    assert!(encode_fields(&encoder, &[(b"", false)]).is_ok(), "also where NULL is refused");
    let empty = Conversion { default: Some(Vec::new()), ..Conversion::default() };
    assert_eq!(
        by_rules(TEXT, &empty, &rules, "", false),
        Ok(Some(Vec::new())),
        "the default is not NULL again"
    );
    let by_format = Conversion { default: Some(b"31.12.9999".to_vec()), ..formats(&["%d.%m.%Y"]) };
    assert_eq!(by_rules(Kind::Date, &by_format, &rules, "", false), Ok(Some(Day("9999-12-31").bytes(b""))));
}

#[test]
fn records_may_have_more_or_fewer_fields_when_that_is_said() {
    let count = |rules: Rules, fields: &[&str]| {
        let encoder = Encoder::new(rules, vec![slot(TEXT, 0), slot(Kind::Int2, 1), slot(TEXT, 2)], 2)
            .with_extras(vec![holoload::row::Extra::Text(Some(b"said".to_vec()))]);
        let fields: Vec<(&[u8], bool)> = fields.iter().map(|field| (field.as_bytes(), false)).collect();
        encode_fields(&encoder, &fields).map(|(bytes, _)| bytes).map_err(|refusal| refusal.reason)
    };
    let whole = count(Rules::default(), &["a", "7"]).unwrap();
    let ragged = |found| Err(Reason::FieldCount { found, expected: 2 });
    let (extra, missing) = (
        Rules { extra_fields: true, ..Rules::default() },
        Rules { missing_fields: true, ..Rules::default() },
    );
    assert_eq!(count(Rules::default(), &["a", "7", "x"]), ragged(3));
    assert_eq!(count(Rules::default(), &["a"]), ragged(1));
    assert_eq!(
        count(extra.clone(), &["a", "7", "x", "y"]),
        Ok(whole.clone()),
        "what was said is not replaced by what is too much"
    );
    assert_eq!(count(extra, &["a"]), ragged(1));
    let empty = Rules { extra_empty_fields: true, ..Rules::default() };
    assert_eq!(count(empty.clone(), &["a", "7", "", ""]), Ok(whole));
    assert_eq!(count(empty.clone(), &["a", "7", "", "x"]), ragged(4));
    assert_eq!(count(empty, &["a"]), ragged(1));
    assert_eq!(count(missing.clone(), &["a", "7", "x"]), ragged(3));
    let short = count(missing, &["a"]).unwrap();
    assert_eq!(short[..9], [0, 0, 0, 1, b'a', 0xff, 0xff, 0xff, 0xff]);
    assert!(short.ends_with(b"said"));
}

fn any_conversion() -> impl Strategy<Value = Conversion> {
    let pattern = prop::option::of(prop::sample::select(vec!["%Y-%m-%d", "%d/%m/%y %H:%M", "%s", "%H:%M"]));
    let epoch = prop::option::of(prop::sample::select(Epoch::ALL.to_vec()));
    let thousands = prop::option::of(prop::sample::select(vec![",", ".", " ", "\u{a0}"]));
    let trim = prop::option::of(prop::sample::select(vec![Trim::None, Trim::Unquoted, Trim::All]));
    (pattern, epoch, thousands, trim, any::<[bool; 5]>()).prop_map(
        |(pattern, epoch, thousands, trim, [wide, comma, words, nulls, default])| Conversion {
            formats: pattern.into_iter().map(|pattern| TimeFormat::new(pattern).unwrap()).collect(),
            epoch,
            thousands: thousands.map(|text| text.as_bytes().to_vec()),
            trim,
            full_width: wide,
            decimal_comma: comma,
            true_words: if words { texts(&["ja"]) } else { Vec::new() },
            nulls: nulls.then(|| texts(&["-"])),
            default: default.then(|| b"1".to_vec()),
            ..Conversion::default()
        },
    )
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(vec![
        Kind::Bool,
        Kind::Int2,
        Kind::Int8,
        Kind::Float8,
        NUMERIC,
        numeric(8, 2),
        TEXT,
        Kind::Date,
        TIME,
        TIMESTAMP,
        TIMESTAMPTZ,
        Kind::Uuid,
        Kind::Jsonb,
    ])
}

proptest! {
    /// Rules never panic, and `types_cleanly` agrees with what is encoded (`encode_fields` compares them).
    #[test]
    fn any_rule_answers_any_text(conversion in any_conversion(), kind in any_kind(), text in "([ -~]|[０-９－．，　]|\u{a0}){0,12}", is_quoted: bool) {
        let encoder = encoder_with(kind, conversion, Rules::default());
        let _ = encode_fields(&encoder, &[(text.as_bytes(), is_quoted)]);
    }

    /// A column whose rules say nothing is read as one without.
    #[test]
    fn an_empty_rule_changes_nothing(kind in any_kind(), text in "\\PC{0,12}") {
        prop_assert!(Conversion::default().is_empty());
        prop_assert_eq!(value(kind, &Conversion::default(), &text), encode(kind, text.as_bytes()));
    }

    /// Grouped, full-width and with a comma, a number is what it is.
    #[test]
    fn numbers_survive_their_marks(whole in any::<i64>(), places in 0_u32..100) {
        let digits = whole.unsigned_abs().to_string();
        let mut grouped = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at) % 3 == 0 {
                grouped.push('.');
            }
            grouped.push(digit);
        }
        let sign = if whole < 0 { "-" } else { "" };
        let marked = format!("{sign}{grouped},{places:02}");
        let wide: String = marked.chars().map(|letter| char::from_u32(u32::from(letter) + 0xfee0).unwrap()).collect();
        let plain = format!("{sign}{digits}.{places:02}");
        let rule = Conversion { thousands: Some(b".".to_vec()), decimal_comma: true, full_width: true, zone: Some(TimeZone::UTC), ..Conversion::default() };
        prop_assert_eq!(value(NUMERIC, &rule, &marked), encode(NUMERIC, plain.as_bytes()));
        prop_assert_eq!(value(NUMERIC, &rule, &wide), encode(NUMERIC, plain.as_bytes()));
    }
}
