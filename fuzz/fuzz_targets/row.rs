//! Any record is typed or refused; a refused row leaves no bytes, an accepted one exactly its values.
//! The first eight bytes of an input choose the columns' kinds.
#![no_main]

use bytes::Bytes;
use holoload::decode::Step;
use holoload::decode::csv::{CsvDecoder, Dialect};
use holoload::row::{Encoder, Rules, Slot};
use holoload::table::Kind;
use libfuzzer_sys::fuzz_target;

const KINDS: [Kind; 24] = [
    Kind::Bool,
    Kind::Int2,
    Kind::Int4,
    Kind::Int8,
    Kind::Float4,
    Kind::Float8,
    Kind::Numeric { limits: None },
    Kind::Numeric { limits: Some((10, 2)) },
    Kind::Numeric { limits: Some((5, -2)) },
    Kind::Text,
    Kind::Varchar { char_max: None },
    Kind::Varchar { char_max: Some(3) },
    Kind::Char { char_max: Some(4) },
    Kind::Date,
    Kind::Time { digits: 6 },
    Kind::Time { digits: 0 },
    Kind::Timestamp { digits: 6 },
    Kind::Timestamp { digits: 3 },
    Kind::Timestamptz { digits: 6 },
    Kind::Uuid,
    Kind::Bytea,
    Kind::Json,
    Kind::Jsonb,
    Kind::Other,
];

fuzz_target!(|data: &[u8]| {
    let Some((head, text)) = data.split_first_chunk::<8>() else { return };
    let slots: Vec<_> = (0..4)
        .map(|field| Slot {
            kind: KINDS[usize::from(head[field]) % KINDS.len()],
            not_null: head[4 + field] & 1 == 1,
            field,
            is_key: field == 0,
            conversion: None,
        })
        .collect();
    let slot_count = slots.len();
    let encoder = Encoder::new(Rules::default(), slots, 4);
    let mut decoder = CsvDecoder::new(Dialect::default(), 1 << 20);
    decoder.push(Bytes::copy_from_slice(text));
    decoder.finish();
    let mut out = b"before".to_vec();
    loop {
        match decoder.step() {
            Ok(Step::Record(record)) => {
                let before = out.len();
                match encoder.encode_row(&record, &mut out) {
                    Ok(encoded) => {
                        let row = &out[before..];
                        assert!(encoded.key_len <= row.len() && !encoded.is_delete);
                        assert_eq!(value_count(row), slot_count);
                        assert!(encoder.types_cleanly(&record));
                    }
                    Err(_) => assert_eq!(out.len(), before),
                }
                if out.len() > 1 << 16 {
                    out.truncate(6);
                }
            }
            Ok(Step::Malformed { .. }) => {}
            Ok(Step::NeedInput | Step::End) | Err(_) => break,
        }
    }
    assert!(out.starts_with(b"before"));
});

/// How many values `row` holds, if it holds nothing else.
fn value_count(mut row: &[u8]) -> usize {
    let mut count = 0;
    while let Some((length, rest)) = row.split_first_chunk() {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        row = rest.get(length..).expect("a value as long as it says");
        count += 1;
    }
    assert!(row.is_empty());
    count
}
