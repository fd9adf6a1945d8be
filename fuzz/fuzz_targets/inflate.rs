//! Any bytes are unpacked or refused, in pieces of bounded size that together keep the ratio, and what is unpacked
//! is the same however the input is cut. The first byte of an input chooses the chunks.
#![no_main]

use bytes::Bytes;
use holoload::error::{Class, Error};
use holoload::inflate::{Compression, Inflater, RATIO_MAX};
use libfuzzer_sys::fuzz_target;

const PIECE_BYTES_MAX: usize = 256 * 1024;
/// What the ratio allows whatever was read.
const FREE_BYTES: u64 = 64 * 1024 * 1024;
/// So much is enough to see of one input.
const PLAIN_BYTES_MAX: usize = 4 * 1024 * 1024;
const WINDOW_BYTES_MAX: usize = 8 * 1024 * 1024;

fuzz_target!(|data: &[u8]| {
    let Some((size, packed)) = data.split_first() else { return };
    let compression = match Compression::of(packed) {
        Ok(Some(compression)) => compression,
        Ok(None) => return,
        Err(error) => return assert_is_told(&error),
    };
    let whole = inflate(compression, [packed]);
    let cut = inflate(compression, packed.chunks(usize::from(*size) + 1));
    match (whole, cut) {
        (Ok(whole), Ok(cut)) => assert!(whole == cut),
        (Err(_), Err(_)) => {}
        (whole, cut) => panic!("{:?} and {:?}", whole.map(|plain| plain.len()), cut.map(|plain| plain.len())),
    }
});

fn inflate<'a>(compression: Compression, chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, String> {
    let mut inflater = Inflater::new(compression, WINDOW_BYTES_MAX).map_err(|error| error.to_string())?;
    let (mut chunks, mut plain, mut read, mut is_finished) = (chunks.into_iter(), Vec::new(), 0, false);
    loop {
        match inflater.pull() {
            Ok(Some(piece)) => {
                assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES_MAX);
                plain.extend_from_slice(&piece);
                assert!(plain.len() as u64 <= FREE_BYTES.max(read * RATIO_MAX) + PIECE_BYTES_MAX as u64);
                if plain.len() >= PLAIN_BYTES_MAX {
                    plain.truncate(PLAIN_BYTES_MAX);
                    return Ok(plain);
                }
            }
            Ok(None) if is_finished => return Ok(plain),
            Ok(None) => match chunks.next() {
                Some(chunk) => {
                    read += chunk.len() as u64;
                    inflater.push(Bytes::copy_from_slice(chunk));
                }
                None => {
                    inflater.finish();
                    is_finished = true;
                }
            },
            Err(error) => {
                assert_is_told(&error);
                return Err(error.to_string());
            }
        }
    }
}

fn assert_is_told(error: &Error) {
    assert_eq!(error.class(), Class::Input, "{error}");
    assert!(error.hint().is_some(), "{error}");
}
