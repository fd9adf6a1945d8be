//! Every type of value, as the text that a column takes.

use parquet::basic::{Compression, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};

use crate::files::{
    BOUNDS, Leaf, Values, column, drain, file, footer, optional, plain, read, read_columns, required, texts,
};
use holoload::decode::parquet::{ParquetDecoder, Wanted};

/// The texts of one column of one type, and its SQL type.
fn texts_of(column_type: &str, values: Values) -> (Vec<Option<String>>, String) {
    let schema = format!("message m {{ required {column_type}; }}");
    let file = file(&schema, plain(), vec![vec![required(values)]]);
    let sql_type = footer(&file).expect("a footer").columns()[0].sql_type.clone();
    let read = read(&file).expect("read");
    (column(&read, 0).into_iter().map(|text| text.map(str::to_owned)).collect(), sql_type)
}

#[track_caller]
fn check(column_type: &str, values: Values, expected: &[&str], sql_type: &str) {
    let (found, found_type) = texts_of(column_type, values);
    let expected: Vec<Option<String>> = expected.iter().map(|text| Some((*text).to_owned())).collect();
    assert_eq!(found, expected, "{column_type}");
    assert_eq!(found_type, sql_type, "{column_type}");
}

#[test]
fn numbers_are_whole() {
    check("boolean c", Values::Bool(vec![true, false]), &["true", "false"], "boolean");
    check(
        "int32 c",
        Values::I32(vec![i32::MIN, 0, i32::MAX]),
        &["-2147483648", "0", "2147483647"],
        "integer",
    );
    check("int32 c (INTEGER(8,true))", Values::I32(vec![-128]), &["-128"], "smallint");
    check("int32 c (INTEGER(16,false))", Values::I32(vec![65_535]), &["65535"], "integer");
    check("int32 c (INTEGER(32,false))", Values::I32(vec![-1]), &["4294967295"], "bigint");
    check(
        "int64 c",
        Values::I64(vec![i64::MIN, i64::MAX]),
        &["-9223372036854775808", "9223372036854775807"],
        "bigint",
    );
    check("int64 c (INTEGER(64,false))", Values::I64(vec![-1]), &["18446744073709551615"], "numeric(20,0)");
}

#[test]
fn floats_are_read_back_as_they_are() {
    let doubles =
        vec![0.1, -0.0, 1.0, 1e300, 5e-324, f64::MAX, 123_456.789, 1e15, f64::NAN, f64::NEG_INFINITY];
    let (found, _) = texts_of("double c", Values::F64(doubles.clone()));
    for (text, value) in found.iter().zip(&doubles) {
        let text = text.as_deref().expect("no NULL");
        let back: f64 = text.parse().expect("a number");
        assert!(
            back.to_bits() == value.to_bits() || (back.is_nan() && value.is_nan()),
            "{text} is not {value}"
        );
        assert!(text.len() < 25, "{text}");
    }
    check(
        "double c",
        Values::F64(vec![f64::NAN, f64::INFINITY, 0.1]),
        &["NaN", "Infinity", "0.1"],
        "double precision",
    );
    check("float c", Values::F32(vec![0.1, 16_777_216.0, 1e-10]), &["0.1", "16777216", "1e-10"], "real");
    let halves = [0x3c00_u16, 0xc000, 0x7bff, 0x0001, 0x7c00].map(|bits| bits.to_le_bytes().to_vec());
    check(
        "fixed_len_byte_array(2) c (FLOAT16)",
        Values::Fixed(halves.to_vec()),
        &["1", "-2", "65504", "5.9604645e-8", "Infinity"],
        "real",
    );
}

#[test]
fn decimals_have_their_point() {
    check(
        "int32 c (DECIMAL(9,2))",
        Values::I32(vec![12_345, -5, 0]),
        &["123.45", "-0.05", "0.00"],
        "numeric(9,2)",
    );
    check("int64 c (DECIMAL(18,0))", Values::I64(vec![-7]), &["-7"], "numeric(18,0)");
    let wide = |value: i128, width: usize| value.to_be_bytes()[16 - width..].to_vec();
    check(
        "fixed_len_byte_array(16) c (DECIMAL(38,10))",
        Values::Fixed(vec![wide(-1, 16), wide(10_i128.pow(38) - 1, 16)]),
        &["-0.0000000001", "9999999999999999999999999999.9999999999"],
        "numeric(38,10)",
    );
    let mut huge = vec![0_u8; 20];
    huge[0] = 1;
    let minus = vec![0xff_u8; 20];
    check(
        "fixed_len_byte_array(20) c (DECIMAL(46,3))",
        Values::Fixed(vec![huge, minus]),
        // 2^152 and -1
        &["5708990770823839524233143877797980545530986.496", "-0.001"],
        "numeric(46,3)",
    );
    check(
        "binary c (DECIMAL(5,1))",
        Values::Bytes(vec![wide(1_234, 2), wide(-1, 1)]),
        &["123.4", "-0.1"],
        "numeric(5,1)",
    );
}

#[test]
fn dates_and_times_are_iso() {
    check(
        "int32 c (DATE)",
        Values::I32(vec![0, -1, 18_321, 11_016, -719_162, 2_932_897]),
        &["1970-01-01", "1969-12-31", "2020-02-29", "2000-02-29", "0001-01-01", "10000-01-01"],
        "date",
    );
    check(
        "int32 c (TIME(MILLIS,true))",
        Values::I32(vec![0, 86_399_999]),
        &["00:00:00", "23:59:59.999"],
        "time",
    );
    check("int64 c (TIME(MICROS,false))", Values::I64(vec![1, -1]), &["00:00:00.000001", "-1"], "time");
    check(
        "int64 c (TIMESTAMP(MILLIS,true))",
        Values::I64(vec![0, -1, 1_600_000_000_500]),
        &["1970-01-01 00:00:00Z", "1969-12-31 23:59:59.999Z", "2020-09-13 12:26:40.5Z"],
        "timestamptz",
    );
    check(
        "int64 c (TIMESTAMP(MICROS,false))",
        Values::I64(vec![1]),
        &["1970-01-01 00:00:00.000001"],
        "timestamp",
    );
    // What microseconds cannot hold stays there to be refused.
    check(
        "int64 c (TIMESTAMP(NANOS,false))",
        Values::I64(vec![1, 1_000]),
        &["1970-01-01 00:00:00.000000001", "1970-01-01 00:00:00.000001"],
        "timestamp",
    );
    let micros_converted = "int64 c (TIMESTAMP_MICROS)";
    check(micros_converted, Values::I64(vec![0]), &["1970-01-01 00:00:00Z"], "timestamptz");
    let noon_nanos = 43_200_000_000_000_u64;
    let low = u32::try_from(noon_nanos & 0xffff_ffff).expect("32 bits");
    let high = u32::try_from(noon_nanos >> 32).expect("32 bits");
    check("int96 c", Values::I96(vec![[low, high, 2_440_589]]), &["1970-01-02 12:00:00"], "timestamp");
}

#[test]
fn texts_and_bytes_are_told_apart() {
    check(
        "binary c (STRING)",
        texts(&["", "a\"b\\c\n\u{1}", "日本"]),
        &["", "a\"b\\c\n\u{1}", "日本"],
        "text",
    );
    check("binary c (ENUM)", texts(&["RED"]), &["RED"], "text");
    check("binary c (JSON)", texts(&["{\"a\": 1}"]), &["{\"a\": 1}"], "jsonb");
    check("binary c", Values::Bytes(vec![vec![0, 0xff], vec![]]), &["\\x00ff", "\\x"], "bytea");
    let uuid: Vec<u8> = (0..16).collect();
    check(
        "fixed_len_byte_array(16) c (UUID)",
        Values::Fixed(vec![uuid]),
        &["00010203-0405-0607-0809-0a0b0c0d0e0f"],
        "uuid",
    );
    let mut interval = Vec::new();
    for part in [14_u32, 3, 4_500] {
        interval.extend_from_slice(&part.to_le_bytes());
    }
    check(
        "fixed_len_byte_array(12) c (INTERVAL)",
        Values::Fixed(vec![interval]),
        &["P14M3DT4.500S"],
        "interval",
    );
}

#[test]
fn bytes_that_are_wanted_as_text_are_text() {
    let file = file("message m { required binary c; }", plain(), vec![vec![required(texts(&["abc"]))]]);
    let wanted = [Wanted { path: "c".to_owned(), is_text: true }];
    let decoder = ParquetDecoder::new(footer(&file).expect("a footer"), &wanted, BOUNDS).expect("a decoder");
    assert_eq!(column(&drain(&file, decoder).expect("read"), 0), [Some("abc")]);
}

#[test]
fn a_record_is_a_line_of_json_too() {
    let schema = "message m { optional int64 id; required binary name (STRING); required int32 d (DATE); \
                  required double x; required binary b; }";
    let group = vec![
        optional(Values::I64(vec![1]), &[1, 0]),
        required(texts(&["a\"b", "c"])),
        required(Values::I32(vec![0, 1])),
        required(Values::F64(vec![0.5, f64::NAN])),
        required(Values::Bytes(vec![vec![1], vec![2]])),
    ];
    let read = read(&file(schema, plain(), vec![group])).expect("read");
    assert_eq!(
        read.lines,
        [
            "{\"id\":1,\"name\":\"a\\\"b\",\"d\":\"1970-01-01\",\"x\":0.5,\"b\":\"\\\\x01\"}\n",
            "{\"id\":null,\"name\":\"c\",\"d\":\"1970-01-02\",\"x\":\"NaN\",\"b\":\"\\\\x02\"}\n",
        ]
    );
    for line in &read.lines {
        serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    }
    assert_eq!(read.rows[0][1].as_deref(), Some("a\"b"));
    assert_eq!(read.rows[0][4].as_deref(), Some("\\x01"));
    assert_eq!(read.rows[1][0], None);
}

/// Three columns of many rows: a dictionary, numbers, texts that share their beginnings.
fn mixed(rows: usize) -> (Vec<Leaf>, Vec<Vec<Option<String>>>) {
    let (mut definitions, mut codes, mut ids, mut names) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut expected = Vec::new();
    for row in 0..rows {
        let code = (row % 7 != 3).then(|| format!("code-{}", row % 5));
        definitions.push(i16::from(code.is_some()));
        codes.extend(code.clone().map(String::into_bytes));
        ids.push(i64::try_from(row).expect("small") * 3 - 100);
        let name = format!("name-{row:06}");
        names.push(name.clone().into_bytes());
        expected.push(vec![code, ids.last().map(ToString::to_string), Some(name)]);
    }
    let leaves = vec![
        optional(Values::Bytes(codes), &definitions),
        required(Values::I64(ids)),
        required(Values::Bytes(names)),
    ];
    (leaves, expected)
}

const MIXED: &str =
    "message m { optional binary code (STRING); required int64 id; required binary name (STRING); }";

#[test]
fn every_codec_and_version_is_read() {
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ];
    for codec in codecs {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let properties = WriterProperties::builder()
                .set_compression(codec)
                .set_writer_version(version)
                .set_data_page_row_count_limit(700)
                .set_write_batch_size(100)
                .build();
            let (leaves, expected) = mixed(5_000);
            let read = read(&file(MIXED, properties, vec![leaves])).expect("read");
            assert!(read.rows == expected, "{codec:?} {version:?}");
            assert_eq!(read.asked.len(), 1, "one request for what lies together");
        }
    }
}

#[test]
fn every_encoding_is_read() {
    let cases = [
        (Encoding::PLAIN, Encoding::PLAIN),
        (Encoding::DELTA_BINARY_PACKED, Encoding::DELTA_LENGTH_BYTE_ARRAY),
        (Encoding::BYTE_STREAM_SPLIT, Encoding::DELTA_BYTE_ARRAY),
    ];
    for (of_numbers, of_texts) in cases {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let properties = WriterProperties::builder()
                .set_dictionary_enabled(false)
                .set_writer_version(version)
                .set_column_encoding("id".into(), of_numbers)
                .set_column_encoding("name".into(), of_texts)
                .set_column_encoding("code".into(), of_texts)
                .set_data_page_row_count_limit(900)
                .set_write_batch_size(100)
                .build();
            let (leaves, expected) = mixed(3_000);
            let read = read(&file(MIXED, properties, vec![leaves])).expect("read");
            assert!(read.rows == expected, "{of_numbers:?} {of_texts:?} {version:?}");
        }
    }
}

#[test]
fn row_groups_follow_one_another_and_a_resumed_load_goes_on_in_the_middle() {
    let groups: Vec<_> = (0..3).map(|_| mixed(1_500)).collect();
    let expected: Vec<_> = groups.iter().flat_map(|(_, rows)| rows.clone()).collect();
    let file = file(MIXED, plain(), groups.into_iter().map(|(leaves, _)| leaves).collect());
    let whole = read(&file).expect("read");
    assert_eq!(whole.rows, expected);
    assert_eq!(footer(&file).expect("a footer").row_count(), 4_500);
    let starts: std::collections::BTreeSet<u64> = whole.positions.iter().map(|(_, byte)| *byte).collect();
    assert_eq!(starts.len(), 3);
    let lines = whole.positions.iter().map(|(line, _)| *line);
    assert!(lines.eq(1..=4_500));
    for from in [0, 1, 1_023, 1_024, 1_499, 1_500, 1_501, 3_000, 4_499, 4_500] {
        let rest = read_columns(&file, &["code", "id", "name"], BOUNDS, from).expect("read");
        let at = usize::try_from(from).expect("small");
        assert!(rest.rows == expected[at..] && rest.positions == whole.positions[at..], "{from}");
    }
}

#[test]
fn files_without_rows_are_read() {
    let empty = file(MIXED, plain(), Vec::new());
    assert_eq!(read(&empty).expect("read").rows.len(), 0);
    let (leaves, _) = mixed(0);
    let (more, expected) = mixed(2);
    let file = file(MIXED, plain(), vec![leaves, more]);
    assert_eq!(read(&file).expect("read").rows, expected);
}

#[test]
fn what_the_file_does_not_have_is_named() {
    let (leaves, _) = mixed(2);
    let file = file(MIXED, plain(), vec![leaves]);
    let error = read_columns(&file, &["nothing"], BOUNDS, 0).expect_err("no such column");
    assert!(error.message().contains("`nothing`"), "{}", error.message());
}
