//! Which names the first records have.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{JsonDecoder, Layout};
use crate::decode::Step;

/// So many records are looked at: enough that a column most records have is met.
pub const SURVEY_RECORDS: u64 = 1_000;
/// Or so many bytes of text, unless a single record is longer.
pub const SURVEY_BYTES: usize = 1 << 20;

/// Reads the beginning of an object's text for the names of its records alone.
#[derive(Debug)]
pub struct Survey {
    decoder: JsonDecoder,
    names: Vec<String>,
    known: BTreeSet<Vec<u8>>,
    record_count: u64,
    byte_count: usize,
    is_done: bool,
}

impl Survey {
    /// Nothing seen yet.
    pub fn new(layout: Layout, record_bytes_max: usize) -> Self {
        Self {
            decoder: JsonDecoder::new(&[], layout, record_bytes_max),
            names: Vec::new(),
            known: BTreeSet::new(),
            record_count: 0,
            byte_count: 0,
            is_done: false,
        }
    }

    /// Looks at the next chunk; true once enough was seen.
    pub fn push(&mut self, chunk: Bytes) -> bool {
        self.byte_count += chunk.len();
        self.decoder.push(chunk);
        self.read();
        self.is_done |= self.record_count > 0 && self.byte_count >= SURVEY_BYTES;
        self.is_done
    }

    /// The text was shorter than a survey.
    pub fn finish(&mut self) {
        self.decoder.finish();
        self.read();
        self.is_done = true;
    }

    /// Whether enough was seen.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// The names, in the order in which they came.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Records that were well formed.
    pub fn record_count(&self) -> u64 {
        self.record_count
    }

    fn read(&mut self) {
        while self.record_count < SURVEY_RECORDS {
            match self.decoder.step() {
                Ok(Step::Record(_)) => {}
                Ok(Step::Malformed { .. }) => continue,
                Ok(Step::NeedInput) => return,
                // Whoever reads for the records meets the same end.
                Ok(Step::End) | Err(_) => break,
            }
            self.record_count += 1;
            let (known, names) = (&mut self.known, &mut self.names);
            self.decoder.other_names(|name| {
                if !known.contains(name) {
                    known.insert(name.to_vec());
                    // Names of a record that was handed out are UTF-8.
                    names.push(String::from_utf8_lossy(name).into_owned());
                }
            });
        }
        self.is_done = true;
    }
}
