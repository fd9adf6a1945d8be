//! What each type accepts, what it refuses and why, and the bytes it becomes: the tables of `docs/types.md`, tested.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

#[path = "row_types/format.rs"]
mod format;
#[path = "row_types/rules.rs"]
mod rules;

use holoload::decode::{Position, Record, Span};
use holoload::row::{Encoder, Reason, Refusal, Rules, Slot};
use holoload::table::Kind;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use proptest::prelude::*;

// ------------------------------------------------------------------------------------------------- one value

const NUMERIC: Kind = Kind::Numeric { limits: None };
const TEXT: Kind = Kind::Text;
const VARCHAR3: Kind = Kind::Varchar { char_max: Some(3) };
const CHAR3: Kind = Kind::Char { char_max: Some(3) };
const TIME: Kind = Kind::Time { digits: 6 };
const TIME3: Kind = Kind::Time { digits: 3 };
const TIMESTAMP: Kind = Kind::Timestamp { digits: 6 };
const TIMESTAMP0: Kind = Kind::Timestamp { digits: 0 };
const TIMESTAMPTZ: Kind = Kind::Timestamptz { digits: 6 };
const TIMESTAMPTZ3: Kind = Kind::Timestamptz { digits: 3 };

const fn numeric(precision: u16, scale: i16) -> Kind {
    Kind::Numeric { limits: Some((precision, scale)) }
}

/// An expected value, written the way a reader checks it.
#[derive(Clone, Copy, Debug)]
enum Wire {
    Bool(bool),
    I16(i16),
    I32(i32),
    I64(i64),
    F32(f32),
    F64(f64),
    /// Weight, sign, scale, groups.
    Num(i16, u16, u16, &'static [u16]),
    /// A day, as jiff reads it.
    Day(&'static str),
    /// Microseconds of a day, from a time as jiff reads it.
    Clock(&'static str),
    /// A moment in UTC, as jiff reads it.
    Moment(&'static str),
    Hex(&'static str),
    Bytes(&'static [u8]),
    /// The text itself.
    Same,
}
use Wire::{Bool, Bytes, Clock, Day, F32, F64, Hex, I16, I32, I64, Moment, Num, Same};

const POS: u16 = 0;
const NEG: u16 = 0x4000;
const NAN: u16 = 0xC000;

const EPOCH: jiff::civil::Date = jiff::civil::date(2000, 1, 1);

fn micros_from_epoch(moment: jiff::civil::DateTime) -> i64 {
    moment.duration_since(EPOCH.at(0, 0, 0, 0)).as_micros().try_into().unwrap()
}

impl Wire {
    fn bytes(self, text: &[u8]) -> Vec<u8> {
        match self {
            Bool(value) => vec![u8::from(value)],
            I16(value) => value.to_be_bytes().to_vec(),
            I32(value) => value.to_be_bytes().to_vec(),
            I64(value) => value.to_be_bytes().to_vec(),
            F32(value) => value.to_be_bytes().to_vec(),
            F64(value) => value.to_be_bytes().to_vec(),
            Num(weight, sign, scale, groups) => {
                let group_count = u16::try_from(groups.len()).unwrap();
                let mut words = vec![group_count, weight.cast_unsigned(), sign, scale];
                words.extend_from_slice(groups);
                words.into_iter().flat_map(u16::to_be_bytes).collect()
            }
            Day(text) => {
                let day: jiff::civil::Date = text.parse().unwrap();
                (day - EPOCH).get_days().to_be_bytes().to_vec()
            }
            Clock(text) => {
                let clock: jiff::civil::Time = text.parse().unwrap();
                micros_from_epoch(EPOCH.to_datetime(clock)).to_be_bytes().to_vec()
            }
            Moment(text) => micros_from_epoch(text.parse().unwrap()).to_be_bytes().to_vec(),
            Hex(text) => text
                .as_bytes()
                .chunks_exact(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect(),
            Bytes(bytes) => bytes.to_vec(),
            Same => text.to_vec(),
        }
    }
}

fn zone(name: &str) -> TimeZone {
    TimeZoneDatabase::bundled().get(name).unwrap()
}

fn rules_in(zone_name: &str) -> Rules {
    Rules { zone: zone(zone_name), ..Rules::default() }
}

fn slot(kind: Kind, field: usize) -> Slot {
    Slot { kind, not_null: false, field, is_key: false, conversion: None }
}

/// An encoder of one column; in New York, because clocks there have gaps and folds.
fn encoder(kind: Kind) -> Encoder {
    Encoder::new(rules_in("America/New_York"), vec![slot(kind, 0)], 1)
}

/// Encodes fields, each quoted or not, and checks that a refusal leaves nothing behind.
fn encode_fields(encoder: &Encoder, fields: &[(&[u8], bool)]) -> Result<(Vec<u8>, usize), Refusal> {
    let mut data = Vec::new();
    let mut spans = Vec::new();
    for (bytes, is_quoted) in fields {
        let start = u32::try_from(data.len()).unwrap();
        data.extend_from_slice(bytes);
        spans.push(Span { start, end: u32::try_from(data.len()).unwrap(), is_quoted: *is_quoted });
    }
    let record = Record { position: Position::default(), raw: &data, data: &data, spans: &spans };
    let mut out = b"before".to_vec();
    let outcome = encoder.encode(&record, &mut out);
    assert_eq!(encoder.types_cleanly(&record), outcome.is_ok());
    let written = out.split_off("before".len());
    assert_eq!(out, b"before");
    match outcome {
        Ok(key_bytes) => Ok((written, key_bytes)),
        Err(refusal) => {
            assert!(written.is_empty(), "a refused row leaves nothing behind");
            Err(refusal)
        }
    }
}

/// Encodes one quoted field and takes its length off.
fn encode_with(encoder: &Encoder, text: &[u8]) -> Result<Vec<u8>, Reason> {
    let (bytes, key_bytes) = encode_fields(encoder, &[(text, true)]).map_err(|refusal| {
        assert_eq!(refusal.slot, Some(0));
        refusal.reason
    })?;
    assert_eq!(key_bytes, 0);
    let (length, value) = bytes.split_first_chunk::<4>().unwrap();
    assert_eq!(usize::try_from(i32::from_be_bytes(*length)), Ok(value.len()));
    Ok(value.to_vec())
}

fn encode(kind: Kind, text: &[u8]) -> Result<Vec<u8>, Reason> {
    encode_with(&encoder(kind), text)
}

// ------------------------------------------------------------------------------------------------- the tables

#[rustfmt::skip]
const ACCEPTED: &[(Kind, &[u8], Wire)] = &[
    (Kind::Bool, b"t", Bool(true)),
    (Kind::Bool, b"TRUE", Bool(true)),
    (Kind::Bool, b"y", Bool(true)),
    (Kind::Bool, b"Yes", Bool(true)),
    (Kind::Bool, b"on", Bool(true)),
    (Kind::Bool, b"1", Bool(true)),
    (Kind::Bool, b"F", Bool(false)),
    (Kind::Bool, b"false", Bool(false)),
    (Kind::Bool, b"N", Bool(false)),
    (Kind::Bool, b"no", Bool(false)),
    (Kind::Bool, b"oFF", Bool(false)),
    (Kind::Bool, b"0", Bool(false)),

    (Kind::Int2, b"0", I16(0)),
    (Kind::Int2, b"-0", I16(0)),
    (Kind::Int2, b"32767", I16(i16::MAX)),
    (Kind::Int2, b"-32768", I16(i16::MIN)),
    (Kind::Int2, b"+0000000000000000000000012", I16(12)),
    (Kind::Int4, b"2147483647", I32(i32::MAX)),
    (Kind::Int4, b"-2147483648", I32(i32::MIN)),
    (Kind::Int4, b"007", I32(7)),
    (Kind::Int4, b"42", I32(42)),
    (Kind::Int4, b"-7", I32(-7)),
    (Kind::Int8, b"+1", I64(1)),
    (Kind::Int8, b"9223372036854775807", I64(i64::MAX)),
    (Kind::Int8, b"-9223372036854775808", I64(i64::MIN)),
    (Kind::Int8, b"-0009223372036854775808", I64(i64::MIN)),
    (Kind::Int8, b"00000000000000000000000000000", I64(0)),

    (Kind::Float4, b"1.5", F32(1.5)),
    (Kind::Float4, b"3.4028235e38", F32(f32::MAX)),
    (Kind::Float4, b"1e-45", F32(1e-45)),
    (Kind::Float4, b"0.1", F32(0.1)),
    (Kind::Float4, b"nan", F32(f32::NAN)),
    (Kind::Float4, b"-inf", F32(f32::NEG_INFINITY)),
    (Kind::Float8, b"0", F64(0.0)),
    (Kind::Float8, b"-0", F64(-0.0)),
    (Kind::Float8, b"0e999", F64(0.0)),
    (Kind::Float8, b"-1.25E+3", F64(-1250.0)),
    (Kind::Float8, b".5", F64(0.5)),
    (Kind::Float8, b"5.", F64(5.0)),
    (Kind::Float8, b"1.7976931348623157e308", F64(f64::MAX)),
    (Kind::Float8, b"4.9e-324", F64(4.9e-324)),
    (Kind::Float8, b"NaN", F64(f64::NAN)),
    (Kind::Float8, b"Infinity", F64(f64::INFINITY)),
    (Kind::Float8, b"+INFINITY", F64(f64::INFINITY)),
    (Kind::Float8, b"-infinity", F64(f64::NEG_INFINITY)),
    (Kind::Float8, b"inf", F64(f64::INFINITY)),

    (NUMERIC, b"0", Num(0, POS, 0, &[])),
    (NUMERIC, b"-0.00", Num(0, POS, 2, &[])),
    (NUMERIC, b"1", Num(0, POS, 0, &[1])),
    (NUMERIC, b"-1", Num(0, NEG, 0, &[1])),
    (NUMERIC, b"+12345", Num(1, POS, 0, &[1, 2345])),
    (NUMERIC, b"10000", Num(1, POS, 0, &[1])),
    (NUMERIC, b"100000000", Num(2, POS, 0, &[1])),
    (NUMERIC, b"1.50", Num(0, POS, 2, &[1, 5000])),
    (NUMERIC, b"1.5", Num(0, POS, 1, &[1, 5000])),
    (NUMERIC, b".5", Num(-1, POS, 1, &[5000])),
    (NUMERIC, b"5.", Num(0, POS, 0, &[5])),
    (NUMERIC, b"0.0001", Num(-1, POS, 4, &[1])),
    (NUMERIC, b"0.00001", Num(-2, POS, 5, &[1000])),
    (NUMERIC, b"0001234.5678000", Num(0, POS, 7, &[1234, 5678])),
    (NUMERIC, b"1.5e3", Num(0, POS, 0, &[1500])),
    (NUMERIC, b"1.5E-3", Num(-1, POS, 4, &[15])),
    (NUMERIC, b"-1234567.89e+2", Num(2, NEG, 0, &[1, 2345, 6789])),
    (NUMERIC, b"1e131071", Num(32767, POS, 0, &[1000])),
    (NUMERIC, b"1e-16383", Num(-4096, POS, 16383, &[10])),
    (NUMERIC, b"0e5", Num(0, POS, 0, &[])),
    (NUMERIC, b"NaN", Num(0, NAN, 0, &[])),
    (numeric(5, 2), b"nan", Num(0, NAN, 0, &[])),
    (numeric(5, 2), b"1", Num(0, POS, 2, &[1])),
    (numeric(5, 2), b"1.5", Num(0, POS, 2, &[1, 5000])),
    (numeric(5, 2), b"1.5000", Num(0, POS, 2, &[1, 5000])),
    (numeric(5, 2), b"0", Num(0, POS, 2, &[])),
    (numeric(5, 2), b"999.99", Num(0, POS, 2, &[999, 9900])),
    (numeric(5, 2), b"-999.990000000", Num(0, NEG, 2, &[999, 9900])),
    (numeric(5, 2), b"0000000999.99", Num(0, POS, 2, &[999, 9900])),
    (numeric(5, 2), b"99999e-2", Num(0, POS, 2, &[999, 9900])),
    (numeric(5, 2), b"0e-99999999999999999999", Num(0, POS, 2, &[])),
    (numeric(5, 2), b"0e99999999999999999999", Num(0, POS, 2, &[])),
    (numeric(38, 0), b"12345678901234567890123456789012345678", Num(9, POS, 0, &[12, 3456, 7890, 1234, 5678, 9012, 3456, 7890, 1234, 5678])),
    (numeric(3, 5), b"0.00123", Num(-1, POS, 5, &[12, 3000])),
    (numeric(2, -3), b"12000", Num(1, POS, 0, &[1, 2000])),
    (numeric(2, -3), b"99e3", Num(1, POS, 0, &[9, 9000])),

    (TEXT, b"", Same),
    (TEXT, b" kept as it is \t\n", Same),
    (TEXT, "日本語 🚚".as_bytes(), Same),
    (TEXT, b"NULL", Same),
    (TEXT, b"\x01\x7f", Same),
    (TEXT, "\u{FEFF}\u{FFFD}".as_bytes(), Same),
    (Kind::Varchar { char_max: None }, b"as long as you like", Same),
    (VARCHAR3, b"abc", Same),
    (VARCHAR3, "日本語".as_bytes(), Same),
    (VARCHAR3, "a🚚é".as_bytes(), Same),
    (VARCHAR3, b"a  ", Same),
    (VARCHAR3, b"", Same),
    (CHAR3, b"abc", Bytes(b"abc")),
    (CHAR3, b"a  ", Bytes(b"a")),
    (CHAR3, b"a", Bytes(b"a")),
    (CHAR3, b" a ", Bytes(b" a")),
    (CHAR3, b"   ", Bytes(b"")),
    (Kind::Char { char_max: None }, b"a  ", Bytes(b"a  ")),

    (Kind::Date, b"2000-01-01", I32(0)),
    (Kind::Date, b"1999-12-31", I32(-1)),
    (Kind::Date, b"2024-02-29", Day("2024-02-29")),
    (Kind::Date, b"2000/2/29", Day("2000-02-29")),
    (Kind::Date, b"2024-1-5", Day("2024-01-05")),
    (Kind::Date, b"2024/12/31", Day("2024-12-31")),
    (Kind::Date, b"20240105", Day("2024-01-05")),
    (Kind::Date, b"0001-01-01", Day("0001-01-01")),
    (Kind::Date, b"9999-12-31", Day("9999-12-31")),
    (Kind::Date, b"10000-01-01", I32(2_921_940)),
    (Kind::Date, b"294276-12-31", I32(106_751_982)),
    (Kind::Date, b"infinity", I32(i32::MAX)),
    (Kind::Date, b"-Infinity", I32(i32::MIN)),

    (TIME, b"00:00", I64(0)),
    (TIME, b"12:34", Clock("12:34")),
    (TIME, b"9:05", Clock("09:05")),
    (TIME, b"12:34:56", Clock("12:34:56")),
    (TIME, b"23:59:59.999999", Clock("23:59:59.999999")),
    (TIME, b"12:34:56.7", Clock("12:34:56.7")),
    (TIME, b"12:34:56.70000000000", Clock("12:34:56.7")),
    (TIME, b"24:00", I64(86_400_000_000)),
    (TIME, b"24:00:00.000", I64(86_400_000_000)),
    (TIME3, b"12:34:56.789000", Clock("12:34:56.789")),

    (TIMESTAMP, b"2000-01-01 00:00:00", I64(0)),
    (TIMESTAMP, b"2024-01-05 12:34:56", Moment("2024-01-05T12:34:56")),
    (TIMESTAMP, b"2024-01-05T12:34:56.123456", Moment("2024-01-05T12:34:56.123456")),
    (TIMESTAMP, b"2024/1/5 9:05", Moment("2024-01-05T09:05")),
    (TIMESTAMP, b"20240105 12:34:56", Moment("2024-01-05T12:34:56")),
    (TIMESTAMP, b"2024-01-05", Moment("2024-01-05T00:00")),
    (TIMESTAMP, b"2024-12-31 24:00:00", Moment("2025-01-01T00:00")),
    (TIMESTAMP, b"1969-12-31 23:59:59.5", Moment("1969-12-31T23:59:59.5")),
    (TIMESTAMP, b"0001-01-01 00:00:00", Moment("0001-01-01T00:00")),
    (TIMESTAMP, b"9999-12-31 23:59:59.999999", Moment("9999-12-31T23:59:59.999999")),
    (TIMESTAMP, b"294276-12-31 23:59:59.999999", I64(9_223_371_331_199_999_999)),
    (TIMESTAMP, b"infinity", I64(i64::MAX)),
    (TIMESTAMP, b"-infinity", I64(i64::MIN)),
    (TIMESTAMP0, b"2024-01-05 12:34:56.000", Moment("2024-01-05T12:34:56")),

    (TIMESTAMPTZ, b"2024-01-05 12:34:56Z", Moment("2024-01-05T12:34:56")),
    (TIMESTAMPTZ, b"2024-01-05T12:34:56.5z", Moment("2024-01-05T12:34:56.5")),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56 UTC", Moment("2024-01-05T12:34:56")),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56GMT", Moment("2024-01-05T12:34:56")),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+09", Moment("2024-01-05T03:34:56")),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56 +0900", Moment("2024-01-05T03:34:56")),
    (TIMESTAMPTZ, b"2024-01-05T12:34:56.123+09:00", Moment("2024-01-05T03:34:56.123")),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56-05:30", Moment("2024-01-05T18:04:56")),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+09:18:59", Moment("2024-01-05T03:15:57")),
    (TIMESTAMPTZ, b"2024-01-05 12:34+00", Moment("2024-01-05T12:34")),
    (TIMESTAMPTZ, b"2024-01-05 12:34 -00:00", Moment("2024-01-05T12:34")),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56 Asia/Tokyo", Moment("2024-01-05T03:34:56")),
    (TIMESTAMPTZ, b"2024-07-05 12:34:56 europe/paris", Moment("2024-07-05T10:34:56")),
    (TIMESTAMPTZ, b"2024-07-05 12:34:56 Etc/GMT+5", Moment("2024-07-05T17:34:56")),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56", Moment("2024-01-05T17:34:56")),
    (TIMESTAMPTZ, b"2024-07-05 12:34:56", Moment("2024-07-05T16:34:56")),
    (TIMESTAMPTZ, b"2024-07-05", Moment("2024-07-05T04:00")),
    (TIMESTAMPTZ, b"2024-03-10 01:59:59.999999", Moment("2024-03-10T06:59:59.999999")),
    (TIMESTAMPTZ, b"2024-03-10 03:00:00", Moment("2024-03-10T07:00:00")),
    (TIMESTAMPTZ, b"2024-11-03 00:59:59.999999", Moment("2024-11-03T04:59:59.999999")),
    (TIMESTAMPTZ, b"2024-11-03 02:00:00", Moment("2024-11-03T07:00:00")),
    (TIMESTAMPTZ, b"2024-11-03 01:30:00-04", Moment("2024-11-03T05:30:00")),
    (TIMESTAMPTZ, b"2024-07-05 24:00:00", Moment("2024-07-06T04:00")),
    (TIMESTAMPTZ, b"0001-01-01 00:00:00Z", Moment("0001-01-01T00:00")),
    (TIMESTAMPTZ, b"0001-01-01 00:00:00+15:59:59", Moment("0000-12-31T08:00:01")),
    (TIMESTAMPTZ, b"9999-12-31 12:00:00 Asia/Tokyo", Moment("9999-12-31T03:00:00")),
    (TIMESTAMPTZ, b"9999-12-31 18:00:00", Moment("9999-12-31T23:00:00")),
    (TIMESTAMPTZ, b"12024-07-05 12:34:56+00", I64(316_343_018_096_000_000)),
    (TIMESTAMPTZ, b"12024-07-05 12:34:56", I64(316_343_032_496_000_000)),
    (TIMESTAMPTZ, b"294276-12-31 23:59:59.999999Z", I64(9_223_371_331_199_999_999)),
    (TIMESTAMPTZ, b"infinity", I64(i64::MAX)),
    (TIMESTAMPTZ, b"-infinity", I64(i64::MIN)),
    (TIMESTAMPTZ3, b"2024-01-05 12:34:56.123000Z", Moment("2024-01-05T12:34:56.123")),

    (Kind::Uuid, b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", Hex("a0eebc999c0b4ef8bb6d6bb9bd380a11")),
    (Kind::Uuid, b"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", Hex("a0eebc999c0b4ef8bb6d6bb9bd380a11")),
    (Kind::Uuid, b"a0eebc999c0b4ef8bb6d6bb9bd380a11", Hex("a0eebc999c0b4ef8bb6d6bb9bd380a11")),
    (Kind::Uuid, b"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", Hex("a0eebc999c0b4ef8bb6d6bb9bd380a11")),
    (Kind::Uuid, b"{a0eebc999c0b4ef8bb6d6bb9bd380a11}", Hex("a0eebc999c0b4ef8bb6d6bb9bd380a11")),

    (Kind::Bytea, br"\x", Bytes(b"")),
    (Kind::Bytea, br"\x00ffAb", Hex("00ffab")),

    (Kind::Json, b"null", Same),
    (Kind::Json, b" {\"a\" : [1, -2.5e+3, true, false, \"x\\n\\u00e9\\/\"], \"b\":{}} \r\n", Same),
    (Kind::Json, b"\"\\ud83d\\uDE9A\"", Same),
    (Kind::Json, "\"日本\u{7f}\"".as_bytes(), Same),
    (Kind::Json, b"1e400", Same),
    (Kind::Json, b"1e999999999999", Same),
    (Kind::Json, b"[[],[[]],{\"\":{}}]", Same),
    (Kind::Jsonb, b"[]", Bytes(b"\x01[]")),
    (Kind::Jsonb, b" {\"a\": -0.0}", Bytes(b"\x01 {\"a\": -0.0}")),
    (Kind::Jsonb, b"1e400", Bytes(b"\x011e400")),

    (Kind::Other, b"(1,2)", Same),
    (Kind::Other, b"", Same),
];

#[rustfmt::skip]
const REFUSED: &[(Kind, &[u8], &str)] = &[
    (Kind::Bool, b"", "not a boolean"),
    (Kind::Bool, b"SE", "not a boolean"),
    (Kind::Bool, b"tr", "not a boolean"),
    (Kind::Bool, b"2", "not a boolean"),
    (Kind::Bool, b" true", "not a boolean"),
    (Kind::Bool, b"01", "not a boolean"),

    (Kind::Int2, b"32768", "out of range for int2"),
    (Kind::Int2, b"-32769", "out of range for int2"),
    (Kind::Int4, b"2147483648", "out of range for int4"),
    (Kind::Int4, b"-2147483649", "out of range for int4"),
    (Kind::Int8, b"9223372036854775808", "out of range for int8"),
    (Kind::Int8, b"-9223372036854775809", "out of range for int8"),
    (Kind::Int8, b"18446744073709551617", "out of range for int8"),
    (Kind::Int8, b"100000000000000000000000000000000", "out of range for int8"),
    (Kind::Int8, b"10000000000000000000000000000000x", "not an integer"),
    (Kind::Int4, b"", "not an integer"),
    (Kind::Int4, b"+", "not an integer"),
    (Kind::Int4, b"-", "not an integer"),
    (Kind::Int4, b"--1", "not an integer"),
    (Kind::Int4, b" 1", "not an integer"),
    (Kind::Int4, b"1 ", "not an integer"),
    (Kind::Int4, b"1.0", "not an integer"),
    (Kind::Int4, b"1e3", "not an integer"),
    (Kind::Int4, b"1,000", "not an integer"),
    (Kind::Int4, b"0x10", "not an integer"),
    (Kind::Int4, b"1_000", "not an integer"),
    (Kind::Int4, "１２".as_bytes(), "not an integer"),

    (Kind::Float4, b"3.5e38", "out of range for float4"),
    (Kind::Float4, b"1e-46", "too small for float4, which would make it 0"),
    (Kind::Float8, b"1e309", "out of range for float8"),
    (Kind::Float8, b"-1e309", "out of range for float8"),
    (Kind::Float8, b"1e-400", "too small for float8, which would make it 0"),
    (Kind::Float8, b"", "not a number"),
    (Kind::Float8, b".", "not a number"),
    (Kind::Float8, b"-", "not a number"),
    (Kind::Float8, b"e5", "not a number"),
    (Kind::Float8, b"1e", "not a number"),
    (Kind::Float8, b"1,5", "not a number"),
    (Kind::Float8, b" 1", "not a number"),
    (Kind::Float8, b"-nan", "not a number"),
    (Kind::Float8, b"infinit", "not a number"),
    (Kind::Float8, b"0x1p3", "not a number"),

    (NUMERIC, b"", "not a number"),
    (NUMERIC, b".", "not a number"),
    (NUMERIC, b"+", "not a number"),
    (NUMERIC, b"1e", "not a number"),
    (NUMERIC, b"1e+", "not a number"),
    (NUMERIC, b"1e1.5", "not a number"),
    (NUMERIC, b"1.2.3", "not a number"),
    (NUMERIC, b"1,000.00", "not a number"),
    (NUMERIC, b" 1", "not a number"),
    (NUMERIC, b"\xc2\xa51", "not a number"),
    (NUMERIC, b"-NaN", "not a number"),
    (NUMERIC, b"Infinity", "infinity in a numeric column"),
    (NUMERIC, b"-inf", "infinity in a numeric column"),
    (NUMERIC, b"1e131072", "more than 131072 digits before the point"),
    (NUMERIC, b"1e999999999", "more than 131072 digits before the point"),
    (NUMERIC, b"1e99999999999999999999999", "more than 131072 digits before the point"),
    (NUMERIC, b"1e-16384", "more than 16383 decimal places"),
    (NUMERIC, b"1e-99999999999999999999999", "more than 16383 decimal places"),
    (NUMERIC, b"0e-16384", "more than 16383 decimal places"),
    (numeric(5, 2), b"1000", "out of range for numeric(5,2)"),
    (numeric(5, 2), b"1e3", "out of range for numeric(5,2)"),
    (numeric(5, 2), b"1.001", "more than 2 decimal places"),
    (numeric(5, 2), b"999.999", "more than 2 decimal places"),
    (numeric(5, 2), b"1e-3", "more than 2 decimal places"),
    (numeric(5, 1), b"0.25", "more than 1 decimal place"),
    (numeric(5, 0), b"0.5", "more than 0 decimal places"),
    (numeric(5, 2), b"inf", "infinity in a numeric column"),
    (numeric(3, 5), b"0.01", "out of range for numeric(3,5)"),
    (numeric(2, -3), b"12300", "not a multiple of 10^3"),
    (numeric(2, -3), b"100000", "out of range for numeric(2,-3)"),

    (TEXT, b"a\0b", "NUL byte"),
    (TEXT, b"\0", "NUL byte"),
    (TEXT, b"12345678\0", "NUL byte"),
    (TEXT, b"\xff", "not UTF-8"),
    (TEXT, b"caf\xe9", "not UTF-8"),
    (TEXT, b"\xe6\x97", "not UTF-8"),
    (TEXT, b"\xed\xa0\x80", "not UTF-8"),
    (TEXT, b"\xc0\x80", "not UTF-8"),
    (VARCHAR3, b"abcd", "longer than 3 characters"),
    (VARCHAR3, b"abc ", "longer than 3 characters"),
    (VARCHAR3, "日本語だ".as_bytes(), "longer than 3 characters"),
    (VARCHAR3, b"\xff", "not UTF-8"),
    (Kind::Varchar { char_max: Some(1) }, b"ab", "longer than 1 character"),
    (CHAR3, b"abcd", "longer than 3 characters"),
    (CHAR3, b"abc ", "longer than 3 characters"),
    (CHAR3, b"a\0", "NUL byte"),

    (Kind::Date, b"", "not a date"),
    (Kind::Date, b"2024", "not a date"),
    (Kind::Date, b"2024-01", "not a date"),
    (Kind::Date, b"01/02/2024", "not a date"),
    (Kind::Date, b"24-01-02", "not a date"),
    (Kind::Date, b"2024-01/02", "not a date"),
    (Kind::Date, b"2024-01-002", "not a date"),
    (Kind::Date, b"2024-001-02", "not a date"),
    (Kind::Date, b"2024--02", "not a date"),
    (Kind::Date, b"2024.01.02", "not a date"),
    (Kind::Date, b"2024-01-02 ", "not a date"),
    (Kind::Date, b" 2024-01-02", "not a date"),
    (Kind::Date, b"2024-01-02 00:00:00", "not a date"),
    (Kind::Date, b"2024-01-02T", "not a date"),
    (Kind::Date, b"-2024-01-02", "not a date"),
    (Kind::Date, b"02024-01-02", "not a date"),
    (Kind::Date, b"2024010", "not a date"),
    (Kind::Date, b"202401023", "not a date"),
    (Kind::Date, b"today", "not a date"),
    (Kind::Date, b"inf", "not a date"),
    (Kind::Date, b"2024-Jan-02", "not a date"),
    (Kind::Date, b"0000-01-01", "year not in 1 to 294276"),
    (Kind::Date, b"00000101", "year not in 1 to 294276"),
    (Kind::Date, b"294277-01-01", "year not in 1 to 294276"),
    (Kind::Date, b"2023-02-29", "day does not exist"),
    (Kind::Date, b"1900-02-29", "day does not exist"),
    (Kind::Date, b"2024-04-31", "day does not exist"),
    (Kind::Date, b"2024-13-01", "day does not exist"),
    (Kind::Date, b"2024-00-01", "day does not exist"),
    (Kind::Date, b"2024-01-00", "day does not exist"),
    (Kind::Date, b"20240230", "day does not exist"),

    (TIME, b"", "not a time of day"),
    (TIME, b"12", "not a time of day"),
    (TIME, b"1234", "not a time of day"),
    (TIME, b"12:3", "not a time of day"),
    (TIME, b"12:34:5", "not a time of day"),
    (TIME, b"12:34:56.", "not a time of day"),
    (TIME, b"12:34:56,5", "not a time of day"),
    (TIME, b"12:34.5", "not a time of day"),
    (TIME, b"012:34", "not a time of day"),
    (TIME, b":34", "not a time of day"),
    (TIME, b"12:34 ", "not a time of day"),
    (TIME, b"25:00", "time of day does not exist"),
    (TIME, b"12:60", "time of day does not exist"),
    (TIME, b"12:34:60", "time of day does not exist"),
    (TIME, b"24:00:00.000001", "time of day does not exist"),
    (TIME, b"24:01", "time of day does not exist"),
    (TIME, b"12:34:56Z", "time zone in a column without one"),
    (TIME, b"12:34Z", "time zone in a column without one"),
    (TIME, b"12:34 +09", "time zone in a column without one"),
    (TIME, b"12:34 PM", "not a time of day"),
    (TIME, b"12:34:56.1234567", "more than 6 digits of the second"),
    (TIME3, b"12:34:56.7891", "more than 3 digits of the second"),
    (Kind::Time { digits: 1 }, b"12:34:56.78", "more than 1 digit of the second"),

    (TIMESTAMP, b"", "not a timestamp"),
    (TIMESTAMP, b"12:34", "not a timestamp"),
    (TIMESTAMP, b"2024-01-05  12:34", "not a timestamp"),
    (TIMESTAMP, b"2024-01-05t12:34", "not a timestamp"),
    (TIMESTAMP, b"2024-01-05 12", "not a timestamp"),
    (TIMESTAMP, b"2024-01-05 ", "not a timestamp"),
    (TIMESTAMP, b"20240105 123456", "not a timestamp"),
    (TIMESTAMP, b"2024-01-05_12:34", "not a timestamp"),
    (TIMESTAMP, b"1704412800", "not a timestamp"),
    (TIMESTAMP, b"now", "not a timestamp"),
    (TIMESTAMP, b"2024-01-05 12:34:56 am", "not a timestamp"),
    (TIMESTAMP, b"2024-02-30 12:34", "day does not exist"),
    (TIMESTAMP, b"2024-02-03 24:34", "time of day does not exist"),
    (TIMESTAMP, b"2024-06-30 23:59:60", "time of day does not exist"),
    (TIMESTAMP, b"2024-01-05 12:34:56Z", "time zone in a column without one"),
    (TIMESTAMP, b"2024-01-05 12:34:56+09", "time zone in a column without one"),
    (TIMESTAMP, b"2024-01-05 12:34:56-09:00", "time zone in a column without one"),
    (TIMESTAMP, b"2024-01-05 12:34:56 UTC", "time zone in a column without one"),
    (TIMESTAMP, b"2024-01-05 12:34:56 Asia/Tokyo", "time zone in a column without one"),
    (TIMESTAMP, b"2024-01-05 12:34:56 ", "not a timestamp"),
    (TIMESTAMP, b"2024-01-05 12:34:56.1234567", "more than 6 digits of the second"),
    (TIMESTAMP, b"294276-12-31 24:00:00", "year not in 1 to 294276"),
    (TIMESTAMP0, b"2024-01-05 12:34:56.5", "more than 0 digits of the second"),

    (TIMESTAMPTZ, b"2024-03-10 02:30:00", "local time is skipped when clocks go forward"),
    (TIMESTAMPTZ, b"2024-03-10 02:00:00", "local time is skipped when clocks go forward"),
    (TIMESTAMPTZ, b"2024-03-31 02:30:00 Europe/Paris", "local time is skipped when clocks go forward"),
    (TIMESTAMPTZ, b"2011-12-30 12:00:00 Pacific/Apia", "local time is skipped when clocks go forward"),
    (TIMESTAMPTZ, b"2024-11-03 01:00:00", "local time is ambiguous, as clocks go back"),
    (TIMESTAMPTZ, b"2024-11-03 01:59:59.999999", "local time is ambiguous, as clocks go back"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56 Asia/Edo", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56 Etc/Unknown", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56Asia/Tokyo", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56 JST", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56 EST", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56 CET", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+9", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+900", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+16:00", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+09:60", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+09:00:0", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+090000", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+0900:00", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+0900:000", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+09:000", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56+", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56UTC+9", "unknown time zone"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56 ", "not a timestamp"),
    (TIMESTAMPTZ, b"2024-01-05 12:34:56  Z", "not a timestamp"),
    (TIMESTAMPTZ, b"2024-01-05Z", "not a timestamp"),
    (TIMESTAMPTZ, b"2024-01-05 +09:00", "not a timestamp"),
    (TIMESTAMPTZ, b"294276-12-31 23:59:59-01", "year not in 1 to 294276"),
    (TIMESTAMPTZ3, b"2024-01-05 12:34:56.123456Z", "more than 3 digits of the second"),

    (Kind::Uuid, b"", "not a UUID"),
    (Kind::Uuid, b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "not a UUID"),
    (Kind::Uuid, b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g", "not a UUID"),
    (Kind::Uuid, b"a0eebc999-c0b-4ef8-bb6d-6bb9bd380a11", "not a UUID"),
    (Kind::Uuid, b"a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "not a UUID"),
    (Kind::Uuid, b"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "not a UUID"),
    (Kind::Uuid, b" a0eebc999c0b4ef8bb6d6bb9bd380a11", "not a UUID"),

    (Kind::Bytea, b"", r"not bytes in the form \x0123abcd"),
    (Kind::Bytea, b"00ff", r"not bytes in the form \x0123abcd"),
    (Kind::Bytea, br"\X00", r"not bytes in the form \x0123abcd"),
    (Kind::Bytea, br"\x0", r"not bytes in the form \x0123abcd"),
    (Kind::Bytea, br"\x0g", r"not bytes in the form \x0123abcd"),
    (Kind::Bytea, br"\x00 ff", r"not bytes in the form \x0123abcd"),

    (Kind::Json, b"", "not JSON"),
    (Kind::Json, b" ", "not JSON"),
    (Kind::Json, b"nul", "not JSON"),
    (Kind::Json, b"nullx", "not JSON"),
    (Kind::Json, b"True", "not JSON"),
    (Kind::Json, b"NaN", "not JSON"),
    (Kind::Json, b"{a:1}", "not JSON"),
    (Kind::Json, b"{'a':1}", "not JSON"),
    (Kind::Json, b"{\"a\":1,}", "not JSON"),
    (Kind::Json, b"{\"a\" 1}", "not JSON"),
    (Kind::Json, b"{1:1}", "not JSON"),
    (Kind::Json, b"[1,]", "not JSON"),
    (Kind::Json, b"[1 2]", "not JSON"),
    (Kind::Json, b"[1}", "not JSON"),
    (Kind::Json, b"[", "not JSON"),
    (Kind::Json, b"]", "not JSON"),
    (Kind::Json, b"1 2", "not JSON"),
    (Kind::Json, b"01", "not JSON"),
    (Kind::Json, b"+1", "not JSON"),
    (Kind::Json, b".5", "not JSON"),
    (Kind::Json, b"5.", "not JSON"),
    (Kind::Json, b"-", "not JSON"),
    (Kind::Json, b"1e", "not JSON"),
    (Kind::Json, b"1e+-5", "not JSON"),
    (Kind::Json, b"\"abc", "not JSON"),
    (Kind::Json, b"\"a\nb\"", "not JSON"),
    (Kind::Json, b"\"\\x41\"", "not JSON"),
    (Kind::Json, b"\"\\u12g4\"", "not JSON"),
    (Kind::Json, "\u{FEFF}1".as_bytes(), "not JSON"),
    (Kind::Json, b"\"\\u0000\"", r"JSON with the escape \u0000"),
    (Kind::Json, b"{\"\\u0000\":1}", r"JSON with the escape \u0000"),
    (Kind::Json, b"\"\\ud83d\"", "JSON with half of a surrogate pair"),
    (Kind::Json, b"\"\\ud83dx\"", "JSON with half of a surrogate pair"),
    (Kind::Json, b"\"\\ud83d\\u0041\"", "JSON with half of a surrogate pair"),
    (Kind::Json, b"\"\\ude9a\"", "JSON with half of a surrogate pair"),
    (Kind::Json, b"\"\0\"", "NUL byte"),
    (Kind::Json, b"\"\xff\"", "not UTF-8"),
    (Kind::Jsonb, b"{", "not JSON"),
    (Kind::Jsonb, b"\"\\u0000\"", r"JSON with the escape \u0000"),
    (Kind::Jsonb, b"[1e131072]", "JSON with a number out of range for numeric"),
    (Kind::Jsonb, b"1e-16384", "JSON with a number out of range for numeric"),

    (Kind::Other, b"a\0", "NUL byte"),
    (Kind::Other, b"\xff", "not UTF-8"),
];

#[test]
fn every_accepted_form_has_its_bytes() {
    for (kind, text, wire) in ACCEPTED {
        let shown = String::from_utf8_lossy(text);
        assert_eq!(encode(*kind, text), Ok(wire.bytes(text)), "{kind:?} {shown:?}");
    }
}

#[test]
fn every_refused_form_has_its_reason() {
    for (kind, text, reason) in REFUSED {
        let shown = String::from_utf8_lossy(text);
        let refused = encode(*kind, text).map_err(|reason| reason.to_string());
        assert_eq!(refused, Err((*reason).to_owned()), "{kind:?} {shown:?}");
    }
}

#[test]
fn json_nests_to_128_and_no_deeper() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(encode(Kind::Json, nested(128).as_bytes()).is_ok());
        assert_eq!(encode(Kind::Jsonb, nested(129).as_bytes()), Err(Reason::JsonDepth));
    }
    let unclosed = "[".repeat(1_000_000);
    assert_eq!(encode(Kind::Json, unclosed.as_bytes()), Err(Reason::JsonDepth));
}

#[test]
fn the_longest_numeric_is_exact() {
    let text = format!("{}.{}", "9".repeat(131_072), "9".repeat(16_383));
    let wire = encode(NUMERIC, text.as_bytes()).unwrap();
    assert_eq!(decimal_text(&wire), text);
    assert_eq!(encode(NUMERIC, format!("1{text}").as_bytes()), Err(Reason::WholeDigits));
    let places = encode(NUMERIC, format!("{text}0").as_bytes());
    assert_eq!(places, Err(Reason::DecimalPlaces { scale: 16_383 }));
}

// ------------------------------------------------------------------------------------------------- whole rows

#[test]
fn a_row_is_lengths_and_values_with_the_key_first() {
    let slots = vec![
        Slot { kind: Kind::Int4, not_null: true, field: 2, is_key: true, conversion: None },
        Slot { kind: TEXT, not_null: true, field: 0, is_key: true, conversion: None },
        slot(Kind::Int2, 1),
        slot(TEXT, 3),
    ];
    let encoder = Encoder::new(rules_in("Asia/Tokyo"), slots, 5);
    let fields: &[(&[u8], bool)] = &[(b"k", false), (b"", false), (b"7", false), (b"", true), (b"x", false)];
    let (bytes, key_bytes) = encode_fields(&encoder, fields).unwrap();
    assert_eq!(bytes, b"\0\0\0\x04\0\0\0\x07\0\0\0\x01k\xff\xff\xff\xff\0\0\0\0");
    assert_eq!(&bytes[..key_bytes], b"\0\0\0\x04\0\0\0\x07\0\0\0\x01k");
}

#[test]
fn null_is_the_unquoted_null_string_and_nothing_else() {
    let null = |null_string: &str, text: &str, is_quoted: bool| {
        let rules = Rules { null_strings: vec![null_string.into()], ..Rules::default() };
        let encoder = Encoder::new(rules, vec![slot(TEXT, 0)], 1);
        let (bytes, _) = encode_fields(&encoder, &[(text.as_bytes(), is_quoted)]).unwrap();
        bytes == [0xff; 4]
    };
    assert!(null("", "", false));
    assert!(!null("", "", true));
    assert!(null("NULL", "NULL", false));
    assert!(!null("NULL", "NULL", true));
    assert!(!null("NULL", "null", false));
    assert!(!null("NULL", "", false));
}

#[test]
fn null_in_a_not_null_column_is_refused() {
    let slots = vec![slot(TEXT, 0), Slot { not_null: true, ..slot(Kind::Int8, 1) }];
    let encoder = Encoder::new(rules_in("UTC"), slots, 2);
    let refusal = encode_fields(&encoder, &[(b"kept out too", false), (b"", false)]).unwrap_err();
    assert_eq!(refusal, Refusal { slot: Some(1), reason: Reason::Null });
    assert_eq!(refusal.reason.to_string(), "NULL in a NOT NULL column");
}

#[test]
fn a_ragged_record_is_refused_before_its_values() {
    let encoder = Encoder::new(rules_in("UTC"), vec![slot(Kind::Int4, 0)], 2);
    let reason = |fields: &[(&[u8], bool)]| {
        let refusal = encode_fields(&encoder, fields).unwrap_err();
        assert_eq!(refusal.slot, None);
        refusal.reason.to_string()
    };
    assert_eq!(reason(&[(b"x", false)]), "1 field where 2 are expected");
    assert_eq!(reason(&[(b"x", false), (b"", false), (b"", false)]), "3 fields where 2 are expected");
    let single = Encoder::new(rules_in("UTC"), vec![slot(Kind::Int4, 0)], 1);
    let refusal = encode_fields(&single, &[(b"1", false), (b"", false)]).unwrap_err();
    assert_eq!(refusal.reason.to_string(), "2 fields where 1 is expected");
}

#[test]
fn equal_keys_have_equal_bytes() {
    let key = |kind: Kind, text: &[u8]| {
        let slot = Slot { kind, not_null: true, field: 0, is_key: true, conversion: None };
        encode_fields(&Encoder::new(rules_in("UTC"), vec![slot], 1), &[(text, true)]).unwrap()
    };
    let equal: &[(Kind, &[u8], &[u8])] = &[
        (Kind::Int8, b"007", b"+7"),
        (Kind::Float8, b"-0", b"0"),
        (Kind::Float4, b"-0.0", b"0"),
        (NUMERIC, b"1.50", b"1.5"),
        (NUMERIC, b"-0.000", b"0"),
        (NUMERIC, b"100.0", b"1e2"),
        (numeric(5, 2), b"1.500", b"1.5"),
        (CHAR3, b"a  ", b"a"),
        (Kind::Char { char_max: None }, b"a  ", b"a"),
        (Kind::Date, b"2024-01-05", b"2024/1/5"),
        (TIMESTAMPTZ, b"2024-01-05 12:00:00+09", b"2024-01-05T03:00Z"),
        (Kind::Uuid, b"{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}", b"a0eebc999c0b4ef8bb6d6bb9bd380a11"),
    ];
    for (kind, left, right) in equal {
        assert_eq!(key(*kind, left), key(*kind, right), "{kind:?}");
    }
    assert_eq!(key(NUMERIC, b"1.25").0, key(NUMERIC, b"1.250").0);
    assert_ne!(key(TEXT, b"a ").0, key(TEXT, b"a").0);
}

// ------------------------------------------------------------------------------------------------- properties

/// The decimal text of a numeric on the wire; checks that the form is the one canonical form.
fn decimal_text(wire: &[u8]) -> String {
    let words: Vec<u16> =
        wire.chunks_exact(2).map(|word| u16::from_be_bytes(word.try_into().unwrap())).collect();
    let (header, groups) = words.split_at(4);
    assert_eq!(usize::from(header[0]), groups.len());
    assert!(groups.iter().all(|group| *group < 10_000));
    assert!(groups.first() != Some(&0) && groups.last() != Some(&0));
    assert!(!groups.is_empty() || (header[1], header[2]) == (0, POS));
    let group_at = |weight: i32| {
        let index = i32::from(header[1].cast_signed()) - weight;
        usize::try_from(index).ok().and_then(|index| groups.get(index)).copied().unwrap_or(0)
    };
    let top = i32::from(header[1].cast_signed()).max(0);
    let digits_at = |weight: i32| format!("{:04}", group_at(weight));
    let whole = (0..=top).rev().map(digits_at).collect::<Vec<_>>().concat();
    let scale = usize::from(header[3]);
    let last = -i32::from(header[3] / 4) - 2;
    let fraction = (last..0).rev().map(digits_at).collect::<Vec<_>>().concat();
    assert!(fraction[scale..].bytes().all(|digit| digit == b'0'), "no digit lies beyond the scale");
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let sign = if header[2] == NEG { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", &fraction[..scale]) }
}

/// The decimal text that `whole.fraction` times ten to the `exponent` has, made by moving characters.
fn shifted_text(negative: bool, whole: &str, fraction: &str, exponent: i32) -> String {
    let shift = usize::try_from(exponent.abs()).unwrap();
    let (mut whole, mut fraction) = (whole.to_owned(), fraction.to_owned());
    for _ in 0..shift {
        if exponent > 0 {
            whole.push(if fraction.is_empty() { '0' } else { fraction.remove(0) });
        } else {
            fraction.insert(0, whole.pop().unwrap_or('0'));
        }
    }
    let whole = whole.trim_start_matches('0');
    let is_zero = whole.is_empty() && fraction.bytes().all(|digit| digit == b'0');
    let sign = if negative && !is_zero { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn any_kind() -> impl Strategy<Value = Kind> {
    let kinds: Vec<Kind> = ACCEPTED.iter().map(|(kind, ..)| *kind).collect();
    prop::sample::select(kinds)
}

fn zone_names() -> impl Strategy<Value = String> {
    let database = TimeZoneDatabase::bundled();
    let names: Vec<String> =
        database.available().map(|name| name.to_string()).filter(|name| name.contains('/')).collect();
    prop::sample::select(names)
}

/// Moments of the years 1 to 9998, half of them of our time.
fn moments() -> impl Strategy<Value = jiff::Timestamp> {
    prop_oneof![-62_135_510_400_i64..253_370_764_800, -2_000_000_000_i64..2_500_000_000]
        .prop_map(|second| jiff::Timestamp::from_second(second).unwrap())
}

/// Spans that lead into gaps and folds, past them, and to where a remembered offset begins to hold.
fn shifts() -> impl Strategy<Value = jiff::Span> {
    const DAY_SECONDS: i64 = 86_400;
    prop_oneof![-7_200_i64..7_200, -2 * DAY_SECONDS..2 * DAY_SECONDS, -8 * DAY_SECONDS..8 * DAY_SECONDS]
        .prop_flat_map(|seconds| (Just(seconds), 0_i64..1_000_000))
        .prop_map(|(seconds, micros)| jiff::Span::new().seconds(seconds).microseconds(micros))
}

proptest! {
    #[test]
    fn integers_are_accepted_exactly_in_range(
        value in prop_oneof![any::<i64>().prop_map(i128::from), any::<i128>(), -40_000_i128..40_000],
        zeros in 0_usize..30,
    ) {
        let sign = if value < 0 { "-" } else { "" };
        let text = format!("{sign}{}{}", "0".repeat(zeros), value.unsigned_abs());
        let int2 = i16::try_from(value).map(|value| value.to_be_bytes().to_vec()).ok();
        let int4 = i32::try_from(value).map(|value| value.to_be_bytes().to_vec()).ok();
        let int8 = i64::try_from(value).map(|value| value.to_be_bytes().to_vec()).ok();
        prop_assert_eq!(encode(Kind::Int2, text.as_bytes()).ok(), int2);
        prop_assert_eq!(encode(Kind::Int4, text.as_bytes()).ok(), int4);
        prop_assert_eq!(encode(Kind::Int8, text.as_bytes()).ok(), int8);
        let exact = encode(NUMERIC, text.as_bytes()).unwrap();
        prop_assert_eq!(decimal_text(&exact), value.to_string());
    }

    #[test]
    fn numerics_read_back_as_they_were_written(
        negative: bool,
        whole in "[0-9]{0,40}",
        fraction in "[0-9]{0,20}",
        exponent in prop_oneof![Just(None), (-40_i32..40).prop_map(Some)],
    ) {
        prop_assume!(!whole.is_empty() || !fraction.is_empty());
        let sign = if negative { "-" } else { "" };
        let power = exponent.map_or_else(String::new, |exponent| format!("e{exponent}"));
        let text = format!("{sign}{whole}.{fraction}{power}");
        let wire = encode(NUMERIC, text.as_bytes()).unwrap();
        let written = shifted_text(negative, &whole, &fraction, exponent.unwrap_or(0));
        prop_assert_eq!(decimal_text(&wire), written);
    }

    #[test]
    fn declared_numerics_take_what_fits_and_keep_their_scale(
        whole in "[0-9]{1,8}",
        fraction in "[0-9]{0,6}",
        precision in 1_u16..10,
        scale in -3_i16..6,
    ) {
        let text = format!("{whole}.{fraction}");
        let digits = format!("{whole:0>8}{fraction:0<6}");
        // Of 14 digits around a point after the 8th, those in the middle may be anything and the others must be 0.
        let point = 8;
        let last = usize::try_from(point + scale).unwrap();
        let first = last.saturating_sub(usize::from(precision));
        let is_zero = |part: &str| part.bytes().all(|digit| digit == b'0');
        let fits = is_zero(&digits[..first]) && is_zero(&digits[last..]);
        let outcome = encode(numeric(precision, scale), text.as_bytes());
        prop_assert_eq!(outcome.is_ok(), fits, "{}", text);
        if let Ok(wire) = outcome {
            let shown = usize::try_from(scale.max(0)).unwrap();
            let kept = shifted_text(false, &whole, &format!("{fraction:0<6}")[..shown], 0);
            prop_assert_eq!(decimal_text(&wire), kept);
        }
    }

    #[test]
    fn floats_are_the_nearest_there_are(text in "-?[0-9]{1,25}(\\.[0-9]{0,25})?([eE][+-]?[0-9]{1,3})?") {
        let has_value = text.split(['e', 'E']).next().unwrap().bytes().any(|byte| matches!(byte, b'1'..=b'9'));
        let wide: f64 = text.parse().unwrap();
        let narrow: f32 = text.parse().unwrap();
        let wide_kept = wide.is_finite() && (wide != 0.0 || !has_value);
        let narrow_kept = narrow.is_finite() && (narrow != 0.0 || !has_value);
        let wide = wide_kept.then(|| wide.to_be_bytes().to_vec());
        let narrow = narrow_kept.then(|| narrow.to_be_bytes().to_vec());
        prop_assert_eq!(encode(Kind::Float8, text.as_bytes()).ok(), wide);
        prop_assert_eq!(encode(Kind::Float4, text.as_bytes()).ok(), narrow);
    }

    #[test]
    fn dates_are_those_of_the_calendar(year in 1_i16..=9999, month in 0_i8..=13, day in 0_i8..=32, form in 0..4) {
        let text = match form {
            0 => format!("{year:04}-{month:02}-{day:02}"),
            1 => format!("{year:04}/{month}/{day}"),
            2 => format!("{year:04}-{month}-{day:02}"),
            _ => format!("{year:04}{month:02}{day:02}"),
        };
        let date = jiff::civil::Date::new(year, month, day).ok();
        let days = date.map(|date| (date - EPOCH).get_days().to_be_bytes().to_vec());
        prop_assert_eq!(encode(Kind::Date, text.as_bytes()).ok(), days);
        let midnight = date.map(|date| micros_from_epoch(date.at(0, 0, 0, 0)).to_be_bytes().to_vec());
        prop_assert_eq!(encode(TIMESTAMP, text.as_bytes()).ok(), midnight);
    }

    #[test]
    fn local_times_are_resolved_as_the_database_says(
        name in zone_names(),
        moments in prop::collection::vec((moments(), any::<bool>(), shifts()), 1..20),
        is_named: bool,
    ) {
        let zone = zone(&name);
        let encoder = Encoder::new(rules_in(if is_named { "UTC" } else { &name }), vec![slot(TIMESTAMPTZ, 0)], 1);
        for (moment, near_change, shift) in moments {
            let change = zone.following(moment).next().filter(|_| near_change);
            let local = zone.to_datetime(change.map_or(moment, |change| change.timestamp())) + shift;
            let text = if is_named { format!("{local} {name}") } else { local.to_string() };
            let expected = match zone.to_ambiguous_timestamp(local).offset() {
                AmbiguousOffset::Unambiguous { offset } => {
                    let seconds_east = i64::from(offset.seconds());
                    Ok((micros_from_epoch(local) - seconds_east * 1_000_000).to_be_bytes().to_vec())
                }
                AmbiguousOffset::Gap { .. } => Err(Reason::SkippedLocalTime),
                AmbiguousOffset::Fold { .. } => Err(Reason::AmbiguousLocalTime),
            };
            prop_assert_eq!(encode_with(&encoder, text.as_bytes()), expected, "{} {}", name, text);
        }
    }

    #[test]
    fn far_years_follow_the_last_rule(name in zone_names(), year in 2_500_i64..9_000, cycles in 1_i64..700) {
        prop_assume!(year + 400 * cycles <= 294_276);
        let encoder = Encoder::new(rules_in(&name), vec![slot(TIMESTAMPTZ, 0)], 1);
        let moment = |year: i64| {
            let wire = encode_with(&encoder, format!("{year}-07-01 12:00").as_bytes()).unwrap();
            i64::from_be_bytes(wire.try_into().unwrap())
        };
        prop_assert_eq!(moment(year + 400 * cycles), moment(year) + cycles * 146_097 * 86_400_000_000);
    }

    #[test]
    fn characters_are_counted_not_bytes(text in "[a-zé日🚚 ]{0,12}", char_max in 0_u32..14) {
        let fits = text.chars().count() <= char_max as usize;
        let kind = Kind::Varchar { char_max: Some(char_max) };
        prop_assert_eq!(encode(kind, text.as_bytes()).is_ok(), fits);
    }

    #[test]
    fn json_is_what_a_parser_takes(
        text in prop_oneof!["[\\[\\]{},:\"a1 ]{0,12}", "[-+0-9.eE]{1,8}", "\"[a\\\\\"nuDd8cC0/]{0,14}\""],
    ) {
        prop_assume!(!text.contains(r"\u0000"));
        let parses = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        // The parser refuses numbers beyond float8, which JSON itself does not.
        let is_far = |exponent: &str| exponent.trim_start_matches(['-', '+']).parse::<u32>().is_ok_and(|far| far > 300);
        prop_assume!(parses || !text.split(['e', 'E']).skip(1).any(is_far));
        prop_assert_eq!(encode(Kind::Json, text.as_bytes()).is_ok(), parses, "{}", text);
    }

    #[test]
    fn no_bytes_make_a_panic(kind in any_kind(), text in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = encode(kind, &text);
    }

    #[test]
    fn no_text_makes_a_panic_or_shows_in_its_reason(
        kind in any_kind(),
        text in "[-+0-9.eE:/ TZinfaINFAyUTC\\\\x{}\"\\[\\]]{0,40}",
        marker in "[q%]{6}",
    ) {
        let _ = encode(kind, text.as_bytes());
        if let Err(reason) = encode(kind, format!("{text}{marker}").as_bytes()) {
            prop_assert!(!reason.to_string().contains(&marker));
        }
    }

    #[test]
    fn a_slip_in_an_accepted_text_is_no_panic(
        (kind, text, _) in prop::sample::select(ACCEPTED),
        at: prop::sample::Index,
        byte: u8,
        cut: bool,
    ) {
        let mut slipped = text.to_vec();
        if !slipped.is_empty() {
            let at = at.index(slipped.len());
            if cut { slipped.truncate(at) } else { slipped[at] = byte }
        }
        let _ = encode(kind, &slipped);
    }
}
