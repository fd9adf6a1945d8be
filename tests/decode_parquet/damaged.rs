//! Damaged files end in an error, or in other values; never in a panic, and never in more memory than there is.

use bytes::Bytes;
use holoload::decode::parquet::{Bounds, Footer};
use holoload::error::Class;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use proptest::prelude::*;

use crate::files::{
    Leaf, Values, file, footer, nested, optional, plain, read, read_columns, required, texts,
};

const SCHEMA: &str = "message m { required int64 id; optional binary t (STRING); required boolean b; \
     required fixed_len_byte_array(3) f; \
     optional group l (LIST) { repeated group list { optional int32 element; } } }";

fn group() -> Vec<Leaf> {
    vec![
        required(Values::I64((0..50).collect())),
        optional(texts(&["abc"; 25]), &[0, 1].repeat(25)),
        required(Values::Bool([true, false].repeat(25))),
        required(Values::Fixed(vec![vec![1, 2, 3]; 50])),
        nested(
            Values::I32((0..75).collect()),
            &[3, 3, 2].repeat(25).into_iter().chain([3; 25]).collect::<Vec<_>>(),
            &[0, 1, 0].repeat(25).into_iter().chain([1; 25]).collect::<Vec<_>>(),
        ),
    ]
}

fn files() -> Vec<Bytes> {
    let builders = [
        WriterProperties::builder(),
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())),
        WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_writer_version(WriterVersion::PARQUET_2_0),
        WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_column_encoding("id".into(), Encoding::DELTA_BINARY_PACKED)
            .set_column_encoding("t".into(), Encoding::DELTA_BYTE_ARRAY)
            .set_column_encoding("f".into(), Encoding::DELTA_BYTE_ARRAY),
    ];
    builders.map(|builder| file(SCHEMA, builder.build(), vec![group(), group()])).to_vec()
}

#[track_caller]
fn is_survived(bytes: &Bytes) {
    let bounds = Bounds { record_bytes_max: 1 << 16, pages_bytes_max: 4 << 20 };
    let Ok(footer) = footer(bytes) else { return };
    let paths: Vec<String> = footer.columns().into_iter().map(|column| column.name).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    if let Err(error) = read_columns(bytes, &paths, bounds, 0) {
        assert!(matches!(error.class(), Class::Input | Class::Config), "{error:?}");
    }
}

#[test]
fn files_that_end_early_are_refused() {
    for file in files() {
        assert_eq!(read(&file).expect("whole").rows.len(), 100);
        for length in 0..file.len() {
            let error = read(&file.slice(..length)).expect_err("cut short");
            assert_eq!(error.class(), Class::Input);
        }
    }
}

#[test]
fn what_is_no_parquet_file_is_refused() {
    for bytes in
        [&b""[..], b"PAR1", b"PAR1PAR1PAR1", b"id,name\n1,a\n", b"\xff\xff\xff\x7fPAR1\xff\xff\xff\x7fPAR1"]
    {
        assert_eq!(footer(&Bytes::from_static(bytes)).expect_err("no file").class(), Class::Input);
    }
    let error = footer(&Bytes::from_static(b"PAR1\0\0\0\0PARE")).expect_err("encrypted");
    assert!(error.message().contains("encrypted"));
}

#[test]
fn every_single_byte_may_be_wrong() {
    for file in files() {
        for at in 0..file.len() {
            for other in [0x00, 0x7f, 0xff] {
                let mut bytes = file.to_vec();
                bytes[at] ^= other ^ 0x55;
                is_survived(&bytes.into());
            }
        }
    }
}

#[test]
fn a_schema_nested_without_end_is_refused() {
    let mut name = String::from("required int32 x;");
    for _ in 0..200 {
        name = format!("required group g {{ {name} }}");
    }
    // The writer nests as it likes; a reader that calls itself for each group must not.
    let bytes = file(&format!("message m {{ {name} }}"), plain(), vec![vec![required(Values::I32(vec![1]))]]);
    let error = footer(&bytes).expect_err("too deep");
    assert!(error.message().contains("nested too deeply"), "{}", error.message());
}

/// A file that is nothing but a footer.
fn of_footer(footer: &[u8]) -> Bytes {
    let length = u32::try_from(footer.len()).expect("short").to_le_bytes();
    [b"PAR1", footer, &length, b"PAR1"].concat().into()
}

#[test]
fn counts_that_the_footer_does_not_bear_out_are_refused_before_room_is_made() {
    let huge = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    let huge_list = [&[0xfc][..], &[0xff, 0xff, 0xff, 0x7f]].concat();
    // version; schema: a root called `r` with 2^31 - 1 members, and one of them.
    let members = [&[0x15, 2, 0x19, 0x2c, 0x48, 1, b'r', 0x15][..], &huge, &[0, 0x15, 2, 0]].concat();
    let schema = [0x15, 2, 0x19, 0x2c, 0x48, 1, b'r', 0x15, 2, 0, 0x15, 2, 0x25, 0, 0x18, 1, b'x', 0];
    let parts = [&[0x15, 2, 0x19][..], &huge_list, &[0; 64]].concat();
    let groups = [&schema[..], &[0x16, 0, 0x19], &huge_list, &[0; 64]].concat();
    // As many structs as it says, but none of them can be a row group.
    let hollow = [&schema[..], &[0x16, 0, 0x19, 0xfc, 200, 1], &[0; 200]].concat();
    for (footer, what) in [
        (members, "fewer members than it says"),
        (parts, "more than 65536"),
        (groups, "it cannot be read"),
        (hollow, "it cannot be read"),
        (vec![0x15, 2, 0], "it has no schema"),
        // A precision that says to be a truth: whoever reads a number all the same goes on elsewhere.
        (
            [&schema[..10], &[0x15, 2, 0x25, 0, 0x18, 1, b'x', 0x41, 0, 0, 0]].concat(),
            "its schema cannot be read",
        ),
        ([&[0x36, 0][..], &schema[2..]].concat(), "its fields are not in order"),
    ] {
        let error = super::files::footer(&of_footer(&footer)).expect_err(what);
        assert_eq!(error.class(), Class::Input);
        assert!(error.message().contains(what), "{}", error.message());
    }
}

#[test]
fn a_footer_is_no_longer_than_memory_allows() {
    let bytes = file("message m { required int64 id; }", plain(), vec![vec![required(Values::I64(vec![1]))]]);
    let size = bytes.len() as u64;
    let error = Footer::read_within(size, &bytes, 32).expect_err("too long");
    assert!(error.message().contains("more than 32"), "{}", error.message());
    assert!(error.hint().is_some_and(|hint| hint.contains("more memory")));
    assert!(Footer::read_within(size, &bytes, 1024).is_ok());
}

/// A header of the same length that holds a checksum, for a plain page of 100 numbers of 8 bytes.
fn header_with_checksum(checksum: u32, length: usize) -> Vec<u8> {
    let number = |value: i32| {
        let mut rest = ((value << 1) ^ (value >> 31)).cast_unsigned();
        let mut bytes = vec![0x15];
        while rest > 0x7f {
            bytes.push(u8::try_from(rest & 0x7f).expect("7 bits") | 0x80);
            rest >>= 7;
        }
        bytes.push(u8::try_from(rest).expect("7 bits"));
        bytes
    };
    let mut header = [number(0), number(800), number(800), number(checksum.cast_signed())].concat();
    header.push(0x1c);
    header.extend([number(100), number(0), number(3), number(3)].concat());
    // A field that nobody knows takes up the rest.
    let unknown = length.checked_sub(header.len() + 4).expect("room");
    header.extend([0x28, u8::try_from(unknown).expect("short")]);
    header.extend(vec![0; unknown + 2]);
    header
}

#[test]
fn a_checksum_that_does_not_fit_is_an_error() {
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_write_page_header_statistics(true)
        .build();
    let values = vec![required(Values::I64(vec![7; 100]))];
    let mut bytes = file("message m { required int64 id; }", properties, vec![values]).to_vec();
    let start =
        bytes.windows(16).position(|pair| pair == [7, 0, 0, 0, 0, 0, 0, 0].repeat(2)).expect("values");
    let checksum = crc32fast::hash(&bytes[start..start + 800]);
    bytes.splice(4..start, header_with_checksum(checksum, start - 4));
    assert_eq!(read(&bytes.clone().into()).expect("whole").rows.len(), 100);
    // A value that is as good as any other.
    bytes[start + 80] ^= 1;
    let error = read(&bytes.into()).expect_err("damaged");
    assert!(error.chain().join(" ").contains("checksum"), "{:?}", error.chain());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn several_bytes_may_be_wrong(which in 0_usize..4, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = files().swap_remove(which).to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        is_survived(&bytes.into());
    }
}
