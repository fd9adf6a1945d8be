//! Any bytes as a Parquet file are records or an error that says what to do, in memory that the bounds name and not the
//! file; whoever begins in the middle gets the rest of the same. The first four bytes of an input choose columns, bounds and
//! where to begin.
#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use holoload::decode::Step;
use holoload::decode::parquet::{Bounds, Footer, ParquetDecoder, TAIL_BYTES, Tail, Wanted};
use holoload::error::{Class, Result};
use libfuzzer_sys::fuzz_target;

/// What pages may hold, and what a record may.
const PAGES_BYTES_MAX: usize = 4 * 1024 * 1024;
const RECORD_BYTES_MAX: usize = 64 * 1024;
/// Beside those: the footer's tree, one batch of values, and what codecs and buffers keep.
const BESIDE_BYTES_MAX: usize = 24 * 1024 * 1024;
/// So many records are enough to see of one input: a few bytes may well be millions of NULLs.
const RECORDS_MAX: usize = 4096;

/// What is allocated now, and was at most since the last look.
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counted;

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTED: Counted = Counted;

fuzz_target!(
    init: {
        // Panics of the Parquet crate end in an error of the decoder; one of ours is a finding.
        let abort = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let is_theirs = panic.location().is_some_and(|place| {
                ["/parquet-", "/bytes-", "/library/"].iter().any(|part| place.file().contains(part))
            });
            if !is_theirs {
                abort(panic);
            }
        }));
    },
    |data: &[u8]| {
        let Some((head, file)) = data.split_first_chunk::<4>() else { return };
        let held = HELD.load(Ordering::Relaxed);
        PEAK.store(held, Ordering::Relaxed);
        let file = Bytes::copy_from_slice(file);
        let whole = records(head, &file, 0);
        if let Some(from) = usize::from(head[3]).checked_rem(whole.len()).filter(|from| *from > 0) {
            // Of the same file more records may be seen from there.
            let rest = records(head, &file, from as u64);
            assert!(rest.starts_with(&whole[from..]), "{} and {}", whole.len(), rest.len());
        }
        let kept = whole.iter().map(Vec::len).sum::<usize>() * 2;
        let most = PAGES_BYTES_MAX + BESIDE_BYTES_MAX + 4 * file.len() + kept;
        let peak = PEAK.load(Ordering::Relaxed) - held;
        assert!(peak <= most, "{peak} bytes for a file of {}", file.len());
    }
);

/// The first records from `from` on, as lines; whatever ends them early is told.
fn records(head: &[u8; 4], file: &Bytes, from: u64) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    if let Err(error) = read(head, file, from, &mut lines) {
        assert!(matches!(error.class(), Class::Input | Class::Config), "{error:?}");
        assert!(error.hint().is_some(), "{error:?}");
    }
    lines
}

fn read(head: &[u8; 4], file: &Bytes, from: u64, lines: &mut Vec<Vec<u8>>) -> Result<()> {
    let footer = footer(file)?;
    let columns = footer.columns().into_iter();
    let mut wanted: Vec<Wanted> =
        columns.map(|column| Wanted { path: column.name, is_text: head[0] & 1 == 1 }).collect();
    if head[1] > 0 {
        wanted.truncate(usize::from(head[1] % 8));
    }
    let pages_bytes_max = PAGES_BYTES_MAX >> (head[2] % 8);
    let bounds = Bounds { record_bytes_max: RECORD_BYTES_MAX, pages_bytes_max };
    let mut decoder = ParquetDecoder::new(footer, &wanted, bounds)?.resumed(from);
    let mut byte_count = 0;
    while lines.len() < RECORDS_MAX && byte_count < PAGES_BYTES_MAX {
        match decoder.step()? {
            Step::Record(record) => {
                assert_eq!(record.field_count(), wanted.len());
                assert!(record.raw.ends_with(b"}\n"));
                byte_count += record.raw.len();
                lines.push(record.raw.to_vec());
            }
            Step::NeedInput => {
                let range = decoder.wanted().expect("something is wanted");
                let at = |offset: u64| usize::try_from(offset).expect("small");
                assert!(range.start < range.end && at(range.end) <= file.len(), "{range:?}");
                decoder.push(&file.slice(at(range.start)..at(range.end)))?;
            }
            Step::Malformed { .. } => panic!("nothing is malformed"),
            Step::End => break,
        }
    }
    Ok(())
}

fn footer(file: &Bytes) -> Result<Footer> {
    let size = file.len() as u64;
    let from = |start: u64| &file[usize::try_from(start).expect("small")..];
    match Footer::read(size, from(size.saturating_sub(TAIL_BYTES)))? {
        Tail::Footer(footer) => Ok(footer),
        Tail::Wants(range) => match Footer::read(size, from(range.start))? {
            Tail::Footer(footer) => Ok(footer),
            Tail::Wants(_) => panic!("the footer is whole"),
        },
    }
}
