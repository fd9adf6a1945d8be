//! Rows on their way: encoded one after the other, settled by key, turned into arrays.

use std::cmp::Ordering;

use crate::database::ArrayType;
use crate::decode::Position;

/// Which of several rows with one key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    /// The last of the file.
    LastWins,
    /// The first of the file.
    FirstWins,
    /// The one with the greatest whole number or time in this of its fields; of equal ones the first of the file.
    Newest {
        /// Index of the field.
        slot: usize,
    },
    /// All of them: a repeated key is the server's to refuse.
    None,
}

/// One row of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchRow {
    /// Where its record begins.
    pub position: Position,
    start: usize,
    key_end: usize,
    raw_start: usize,
}

/// Encoded rows and their original bytes.
///
/// A row is, for each slot, a length (`i32`, big endian, -1 for NULL) and so many bytes: the tuple of binary
/// COPY, and element by element that of a binary array.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    raw: Vec<u8>,
    rows: Vec<BatchRow>,
    settled: Vec<u32>,
    /// Rows that stand for deletions, in file order.
    deletes: Vec<u32>,
    /// Those of them that were settled on.
    removed: Vec<u32>,
    sorted: Vec<(u64, u32)>,
    /// How new each row is, where that settles anything.
    ages: Vec<i64>,
    settlement: Option<Settlement>,
}

impl Batch {
    /// Where the encoder appends the next row; [`Batch::push`] makes it one.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes what was appended to the buffer as a row whose first `key_len` bytes are its key.
    pub fn push(&mut self, start: usize, key_len: usize, position: Position, raw: &[u8]) {
        self.rows.push(BatchRow { position, start, key_end: start + key_len, raw_start: self.raw.len() });
        self.raw.extend_from_slice(raw);
    }

    /// The last row has nothing but a key: the row of this key is to be deleted.
    pub fn mark_last_as_delete(&mut self) {
        // The number of rows is bounded far below u32.
        self.deletes.extend(self.rows.len().checked_sub(1).and_then(|last| u32::try_from(last).ok()));
    }

    /// Whether row `row` is a deletion.
    pub fn is_delete(&self, row: u32) -> bool {
        self.deletes.binary_search(&row).is_ok()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes held for the rows.
    pub fn byte_count(&self) -> usize {
        self.bytes.len() + self.raw.len()
    }

    /// Row `row`, and its original bytes.
    pub fn row(&self, row: usize) -> Option<(BatchRow, &[u8])> {
        let one = *self.rows.get(row)?;
        let end = self.rows.get(row + 1).map_or(self.raw.len(), |next| next.raw_start);
        Some((one, self.raw.get(one.raw_start..end)?))
    }

    /// The encoded fields of row `row`, one after the other.
    pub(super) fn encoded(&self, row: u32) -> &[u8] {
        let row = row as usize;
        let end = self.rows.get(row + 1).map_or(self.bytes.len(), |next| next.start);
        self.rows.get(row).and_then(|one| self.bytes.get(one.start..end)).unwrap_or_default()
    }

    /// The fields of row `row`; none is NULL.
    pub fn fields(&self, row: u32) -> impl Iterator<Item = Option<&[u8]>> {
        let mut rest = self.encoded(row);
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(i32::from_be_bytes(*length)).ok();
            let (field, after) = after.split_at_checked(length.unwrap_or(0))?;
            rest = after;
            Some(length.map(|_| field))
        })
    }

    /// Appends the rows in `order` as binary COPY has them: a count of fields before each.
    pub(super) fn append_tuples(&self, order: &[u32], column_count: i16, out: &mut Vec<u8>) {
        out.reserve(self.bytes.len() + order.len() * 2);
        for row in order {
            out.extend_from_slice(&column_count.to_be_bytes());
            out.extend_from_slice(self.encoded(*row));
        }
    }

    /// Forgets all rows, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.raw.clear();
        self.rows.clear();
        self.settled.clear();
        self.deletes.clear();
        self.removed.clear();
        self.sorted.clear();
        self.ages.clear();
        self.settlement = None;
    }

    fn note_ages(&mut self, settlement: Settlement) {
        self.ages.clear();
        let Settlement::Newest { slot } = settlement else { return };
        for row in 0..self.rows.len() {
            let field = u32::try_from(row).ok().and_then(|row| self.fields(row).nth(slot).flatten());
            self.ages.push(field.map_or(i64::MIN, whole_number));
        }
    }

    /// The encoded key of row `row`.
    pub fn key(&self, row: u32) -> &[u8] {
        self.rows.get(row as usize).and_then(|row| self.bytes.get(row.start..row.key_end)).unwrap_or_default()
    }

    /// Decides which rows are written, in key order; answers how many gave way to another.
    pub(super) fn settle(&mut self, settlement: Settlement) -> u64 {
        self.settlement = Some(settlement);
        self.note_ages(settlement);
        let mut sorted = std::mem::take(&mut self.sorted);
        sorted.clear();
        let common = self.common_prefix();
        for row in 0..self.rows.len() {
            // The number of rows is bounded far below u32.
            let Ok(row) = u32::try_from(row) else { continue };
            sorted.push((leading(self.key(row), common), row));
        }
        sorted.sort_unstable_by(|left, right| self.compare(*left, *right));
        self.settled.clear();
        for (at, (_, row)) in sorted.iter().enumerate() {
            let is_same = |other: Option<&(u64, u32)>| {
                other.is_some_and(|(_, other)| self.key(*other) == self.key(*row))
            };
            let gives_way = match settlement {
                Settlement::LastWins | Settlement::Newest { .. } => is_same(sorted.get(at + 1)),
                Settlement::FirstWins => at > 0 && is_same(sorted.get(at - 1)),
                Settlement::None => false,
            };
            if !gives_way {
                self.settled.push(*row);
            }
        }
        self.sorted = sorted;
        let duplicates = (self.rows.len() - self.settled.len()) as u64;
        self.removed.clear();
        if !self.deletes.is_empty() {
            let deletes = &self.deletes;
            let (removed, settled) = self.settled.iter().partition(|row| deletes.binary_search(row).is_ok());
            (self.removed, self.settled) = (removed, settled);
        }
        duplicates
    }

    fn compare(&self, left: (u64, u32), right: (u64, u32)) -> Ordering {
        // Most keys differ within the eight bytes after what all have in common.
        left.0.cmp(&right.0).then_with(|| self.key(left.1).cmp(self.key(right.1))).then_with(|| {
            match (self.age(left.1), self.age(right.1)) {
                // The first of equally new rows comes last, and so wins.
                (Some(one), Some(other)) => one.cmp(&other).then(right.1.cmp(&left.1)),
                _ => left.1.cmp(&right.1),
            }
        })
    }

    /// How new row `row` is by one of its fields.
    pub fn age_by(&self, row: u32, slot: usize) -> Option<i64> {
        self.fields(row).nth(slot).flatten().map(whole_number)
    }

    fn age(&self, row: u32) -> Option<i64> {
        self.ages.get(row as usize).copied()
    }

    /// How many leading bytes all keys share.
    fn common_prefix(&self) -> usize {
        let first = self.key(0);
        let first_lead = leading(first, 0);
        let mut common = first.len();
        for row in &self.rows {
            let key = self.bytes.get(row.start..row.key_end).unwrap_or_default();
            let differing = first_lead ^ leading(key, 0);
            if differing != 0 {
                // Keys shorter than the word are filled up with zeros, which may match: the lengths bound it.
                common = common.min(differing.leading_zeros() as usize / 8).min(key.len());
            } else if common > WORD {
                let shared = first.iter().zip(key).take(common).take_while(|(left, right)| left == right);
                common = shared.count();
            }
        }
        common
    }

    /// The rows to write, in key order; valid after [`Batch::settle`].
    pub fn settled(&self) -> &[u32] {
        &self.settled
    }

    /// The deletions to carry out, in key order; their keys are others than those of the rows to write.
    pub fn removed(&self) -> &[u32] {
        &self.removed
    }

    /// Puts rows into key order.
    pub(super) fn sort_by_key(&self, rows: &mut [u32]) {
        rows.sort_unstable_by(|left, right| self.key(*left).cmp(self.key(*right)).then(left.cmp(right)));
    }

    /// The row that gave way to `row` and would have been written without it.
    pub(super) fn displaced_by(&self, row: u32) -> Option<u32> {
        let at = self.sorted.iter().position(|(_, one)| *one == row)?;
        let next = match self.settlement? {
            Settlement::LastWins | Settlement::Newest { .. } => at.checked_sub(1)?,
            Settlement::FirstWins => at + 1,
            Settlement::None => return None,
        };
        let (_, other) = *self.sorted.get(next)?;
        (self.key(other) == self.key(row)).then_some(other)
    }

    /// Builds one array for each slot from the rows in `order`.
    pub(super) fn fill_arrays(&self, order: &[u32], types: &[ArrayType], arrays: &mut [Vec<u8>]) {
        // The number of rows is bounded far below i32.
        let count = i32::try_from(order.len()).unwrap_or(i32::MAX);
        for (array, one) in arrays.iter_mut().zip(types) {
            array.clear();
            array.extend_from_slice(&1_i32.to_be_bytes());
            // The server takes NULL elements whatever this flag says; it is meant as a note.
            array.extend_from_slice(&1_i32.to_be_bytes());
            array.extend_from_slice(&one.element_oid.to_be_bytes());
            array.extend_from_slice(&count.to_be_bytes());
            array.extend_from_slice(&1_i32.to_be_bytes());
        }
        for row in order {
            let Some(row) = self.rows.get(*row as usize) else { continue };
            let mut rest = self.bytes.get(row.start..).unwrap_or_default();
            for array in arrays.iter_mut() {
                let Some((length, _)) = rest.split_first_chunk::<4>() else { break };
                let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
                let size = 4 + length;
                match rest.first_chunk::<WIDE>() {
                    // A copy of fixed size needs no call: numbers, dates and short texts take this way.
                    Some(wide) if size <= WIDE => {
                        let end = array.len() + size;
                        array.extend_from_slice(wide);
                        array.truncate(end);
                    }
                    _ => array.extend_from_slice(rest.get(..size).unwrap_or_default()),
                }
                rest = rest.get(size..).unwrap_or_default();
            }
        }
    }
}

/// Whole numbers, days and moments alike are two's complement, most significant byte first.
fn whole_number(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { -1 } else { 0 };
    bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
}

/// Copied at once where an element is no longer.
const WIDE: usize = 32;

/// Bytes of a key that are compared at once.
const WORD: usize = 8;

/// Eight bytes of the key from `from` on, as a number that compares like them.
fn leading(key: &[u8], from: usize) -> u64 {
    let rest = key.get(from..).unwrap_or_default();
    if let Some(eight) = rest.first_chunk::<8>() {
        return u64::from_be_bytes(*eight);
    }
    let mut eight = [0; 8];
    for (to, byte) in eight.iter_mut().zip(rest) {
        *to = *byte;
    }
    u64::from_be_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push_row(batch: &mut Batch, fields: &[Option<&[u8]>], key_fields: usize) {
        let start = batch.bytes.len();
        let mut key_len = 0;
        for (at, field) in fields.iter().enumerate() {
            let length = field.map_or(-1, |bytes| i32::try_from(bytes.len()).expect("small"));
            batch.bytes.extend_from_slice(&length.to_be_bytes());
            batch.bytes.extend_from_slice(field.unwrap_or_default());
            if at + 1 == key_fields {
                key_len = batch.bytes.len() - start;
            }
        }
        batch.push(start, key_len, Position::default(), b"");
    }

    fn batch(keys: &[&str]) -> Batch {
        let mut batch = Batch::default();
        for key in keys {
            push_row(&mut batch, &[Some(key.as_bytes()), None], 1);
        }
        batch
    }

    #[test]
    fn a_key_stands_once_and_in_order() {
        let mut rows = batch(&["order-3", "order-1", "order-3", "order-2", "order-1"]);
        assert_eq!(rows.settle(Settlement::LastWins), 2);
        assert_eq!(rows.settled(), [4, 3, 2]);
        assert_eq!(rows.displaced_by(4), Some(1));
        assert_eq!(rows.displaced_by(3), None);
        assert_eq!(rows.settle(Settlement::FirstWins), 2);
        assert_eq!(rows.settled(), [1, 3, 0]);
        assert_eq!(rows.displaced_by(0), Some(2));
        assert_eq!(rows.settle(Settlement::None), 0);
        assert_eq!(rows.settled().len(), 5);
    }

    #[test]
    fn the_newest_wins_and_of_equal_ones_the_first() {
        let mut rows = Batch::default();
        for (key, age) in [("a", 5_i32), ("b", -1), ("a", 7), ("a", 7), ("b", -2), ("a", i32::MIN)] {
            push_row(&mut rows, &[Some(key.as_bytes()), Some(&age.to_be_bytes())], 1);
        }
        assert_eq!(rows.settle(Settlement::Newest { slot: 1 }), 4);
        assert_eq!(rows.settled(), [2, 1]);
        assert_eq!(rows.displaced_by(2), Some(3));
        assert_eq!(rows.displaced_by(3), Some(0));
        assert_eq!(rows.displaced_by(1), Some(4));
        assert_eq!([&[0xFF, 0xFE][..], &[0, 0, 1, 0]].map(whole_number), [-2, 256]);
    }

    #[test]
    fn keys_that_begin_alike_are_told_apart() {
        let mut rows = batch(&["prefix-prefix-b", "prefix-prefix-a", "prefix-prefix-", "prefix-prefix-a\0"]);
        assert_eq!(rows.settle(Settlement::LastWins), 0);
        assert_eq!(rows.settled(), [2, 1, 0, 3]);
    }

    #[test]
    fn deletions_are_settled_with_the_rows_and_kept_apart() {
        let mut rows = Batch::default();
        for (key, is_delete) in [("a", false), ("b", true), ("a", true), ("c", true), ("b", false)] {
            push_row(&mut rows, &[Some(key.as_bytes())], 1);
            if is_delete {
                rows.mark_last_as_delete();
            }
        }
        assert_eq!(rows.settle(Settlement::LastWins), 2);
        assert_eq!((rows.settled(), rows.removed()), (&[4][..], &[2, 3][..]));
        assert_eq!((rows.displaced_by(2), rows.displaced_by(4)), (Some(0), Some(1)));
        assert!(rows.is_delete(1) && !rows.is_delete(4));
        rows.clear();
        push_row(&mut rows, &[Some(b"b")], 1);
        assert_eq!(rows.settle(Settlement::LastWins), 0);
        assert_eq!((rows.settled(), rows.removed()), (&[0][..], &[][..]));
    }

    #[test]
    fn without_a_key_the_file_s_order_stays() {
        let mut rows = Batch::default();
        for _ in 0..3 {
            push_row(&mut rows, &[Some(b"x")], 0);
        }
        assert_eq!(rows.settle(Settlement::None), 0);
        assert_eq!(rows.settled(), [0, 1, 2]);
    }
}
