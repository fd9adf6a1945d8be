//! What is needed of a file is bounded, whatever its size.

use bytes::Bytes;
use holoload::decode::parquet::Bounds;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::files::{BOUNDS, Leaf, Values, file, nested, plain, read_columns, required};

const SCHEMA: &str = "message m { required int64 id; required binary big (STRING); required int32 small; }";

/// Text that does not compress: 16 hexadecimal digits of a simple generator, many times.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = Vec::with_capacity(length + 16);
    while text.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend_from_slice(format!("{state:016x}").as_bytes());
    }
    text
}

fn large(rows: u64) -> Bytes {
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_data_page_size_limit(64 * 1024)
        .set_write_batch_size(64)
        .build();
    let group: Vec<Leaf> = vec![
        required(Values::I64((0..i64::try_from(rows).expect("small")).collect())),
        required(Values::Bytes((0..rows).map(|row| noise(row + 1, 1_000)).collect())),
        required(Values::I32((0..i32::try_from(rows).expect("small")).collect())),
    ];
    file(SCHEMA, properties, vec![group])
}

#[test]
fn only_the_needed_columns_are_asked_for() {
    let file = large(20_000);
    let all: u64 = read_columns(&file, &["id", "big", "small"], BOUNDS, 0)
        .expect("read")
        .asked
        .iter()
        .map(|(start, end)| end - start)
        .sum();
    let read = read_columns(&file, &["small", "id"], BOUNDS, 0).expect("read");
    let few: u64 = read.asked.iter().map(|(start, end)| end - start).sum();
    assert!(all > 20_000_000 && few < 400_000, "{all} {few}");
    assert_eq!(read.asked.len(), 2, "they do not lie together");
    assert_eq!(read.rows[19_999], ["19999", "19999"].map(|text| Some(text.to_owned())));
}

#[test]
fn a_row_group_larger_than_memory_comes_in_pieces() {
    let file = large(20_000);
    let bounds = Bounds { pages_bytes_max: 4 << 20, ..BOUNDS };
    let pieces = read_columns(&file, &["id", "big", "small"], bounds, 0).expect("read");
    let whole = read_columns(&file, &["id", "big", "small"], BOUNDS, 0).expect("read");
    assert!(pieces.rows == whole.rows);
    assert!(pieces.asked.len() > 20, "{}", pieces.asked.len());
    assert!(pieces.asked.iter().all(|(start, end)| end - start <= 2 << 20));
}

#[test]
fn a_nested_column_larger_than_memory_is_refused() {
    let schema =
        "message m { optional group l (LIST) { repeated group list { optional binary element (STRING); } } }";
    let values: Vec<Vec<u8>> = (0..4_000).map(|row| noise(row + 1, 1_000)).collect();
    let levels = vec![3; 4_000];
    let starts: Vec<i16> = (0..4_000).map(|at| i16::from(at % 4 != 0)).collect();
    let file = file(schema, plain(), vec![vec![nested(Values::Bytes(values), &levels, &starts)]]);
    let bounds = Bounds { pages_bytes_max: 4 << 20, ..BOUNDS };
    let error = read_columns(&file, &["l"], bounds, 0).expect_err("too large");
    assert!(error.hint().is_some_and(|hint| hint.contains("smaller row groups")), "{error:?}");
    assert_eq!(read_columns(&file, &["l"], BOUNDS, 0).expect("read").rows.len(), 1_000);
}

#[test]
fn a_page_that_unpacks_to_more_than_memory_is_refused_by_its_header() {
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_data_page_size_limit(64 << 20)
        .build();
    let schema = "message m { required binary c (STRING); }";
    let values = Values::Bytes(vec![vec![b'a'; 1_000]; 16_000]);
    let file = file(schema, properties, vec![vec![required(values)]]);
    assert!(file.len() < 1 << 20, "{}", file.len());
    let bounds = Bounds { pages_bytes_max: 4 << 20, ..BOUNDS };
    let error = read_columns(&file, &["c"], bounds, 0).expect_err("too large");
    assert!(error.hint().is_some_and(|hint| hint.contains("more memory")), "{error:?}");
    assert_eq!(read_columns(&file, &["c"], BOUNDS, 0).expect("read").rows.len(), 16_000);
}

#[test]
fn a_record_longer_than_the_limit_is_refused() {
    let schema = "message m { required binary c (STRING); }";
    let file = file(schema, plain(), vec![vec![required(Values::Bytes(vec![vec![b'a'; 5_000]]))]]);
    let bounds = Bounds { record_bytes_max: 4_096, ..BOUNDS };
    let error = read_columns(&file, &["c"], bounds, 0).expect_err("too long");
    assert!(error.message().contains("record 1 is longer"), "{}", error.message());
}
