//! The rows of a batch against those of the table: read by key, some hundreds at a time, compared in wire form.
//!
//! What is sent is what is stored, and what comes back looks the same; where the server keeps another form than it was
//! sent (padded text, reordered JSON) both sides are brought into one.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::batch::Batch;
use super::sql::Statement;
use crate::database::{Dialect, Fields, Session};
use crate::error::Result;
use crate::plan::{Layout, Plan};
use crate::table::Kind;

/// A row, known by eight bytes of its SHA-256.
pub type Print = u64;

/// What the table holds in place of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The row's key.
    pub key: u128,
    /// The row of the file.
    pub file: Print,
    /// The row of this key in the table, if there is one.
    pub table: Option<Print>,
}

/// Reads rows by their keys.
pub struct Lookup {
    statement: Statement,
    texts: BTreeMap<usize, String>,
    kinds: Vec<Kind>,
    /// Which slots are compared; those of the key are.
    slots: Vec<usize>,
    key_count: usize,
}

impl Lookup {
    /// For a table with a key; slots that `is_compared` leaves out are not looked at.
    pub fn new(
        plan: &Plan,
        layout: &Layout,
        dialect: Dialect,
        is_compared: impl Fn(usize) -> bool,
    ) -> Option<Self> {
        let slots: Vec<usize> =
            (0..layout.slots.len()).filter(|slot| *slot < layout.key_count || is_compared(*slot)).collect();
        let columns = slots.iter().filter_map(|slot| plan.table.columns.get(layout.slots.get(*slot)?.column));
        let columns: Vec<_> = columns.collect();
        let kinds = columns.iter().map(|column| column.kind).collect();
        let statement = Statement::lookup(plan, layout, dialect, &columns)?;
        Some(Self { statement, texts: BTreeMap::new(), kinds, slots, key_count: layout.key_count })
    }

    /// Compares rows, in their order.
    pub async fn compare(
        &mut self,
        session: &mut Session,
        batch: &Batch,
        rows: &[u32],
    ) -> Result<Vec<Compared>> {
        let mut compared = Vec::with_capacity(rows.len());
        let mut rest = rows;
        while !rest.is_empty() {
            let (some, after) = rest.split_at(self.statement.rows_of(rest.len()).max(1));
            rest = after;
            let held = self.read(session, batch, some).await?;
            for row in some {
                let (key, file) = self.of_row(batch, *row);
                compared.push(Compared { key, file, table: held.get(&key).copied() });
            }
        }
        Ok(compared)
    }

    /// Key and print of a row; of a deletion, which has nothing but a key, the print of its key.
    pub fn of_row(&self, batch: &Batch, row: u32) -> (u128, Print) {
        let fields: Vec<Option<&[u8]>> = batch.fields(row).collect();
        let of_slots = self.slots.iter().map_while(|slot| fields.get(*slot).copied());
        self.prints(of_slots)
    }

    async fn read(
        &mut self,
        session: &mut Session,
        batch: &Batch,
        rows: &[u32],
    ) -> Result<BTreeMap<u128, Print>> {
        let keys: Vec<&[u8]> = rows.iter().map(|row| batch.key(*row)).collect();
        let statement = &self.statement;
        let sql = self.texts.entry(rows.len()).or_insert_with(|| statement.text(rows.len()));
        let fields = Fields { types: statement.value_types(), rows: &keys };
        let held = session.look_up(sql, &fields).await?;
        Ok(held.iter().map(|row| self.prints(row.iter().map(Option::as_deref))).collect())
    }

    fn prints<'v>(&self, values: impl Iterator<Item = Option<&'v [u8]>>) -> (u128, Print) {
        let mut image = Vec::new();
        let mut key_end = 0;
        for (at, (value, kind)) in values.zip(&self.kinds).enumerate() {
            append(*kind, value, at < self.key_count, &mut image);
            if at + 1 == self.key_count {
                key_end = image.len();
            }
        }
        let key = Sha256::digest(image.get(..key_end).unwrap_or_default());
        let row = Sha256::digest(&image);
        let first = |digest: &[u8], count: usize| {
            digest.iter().take(count).fold(0_u128, |number, byte| number << 8 | u128::from(*byte))
        };
        // Eight bytes fit into a u64.
        (first(&key, 16), u64::try_from(first(&row, 8)).unwrap_or(0))
    }
}

/// Appends a value in a form that equal values share.
fn append(kind: Kind, value: Option<&[u8]>, is_key: bool, image: &mut Vec<u8>) {
    let Some(bytes) = value else {
        image.push(0);
        return;
    };
    let same;
    let bytes = match kind {
        Kind::Char { .. } => {
            let end = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
            &bytes[..end]
        }
        // Of equal keys one may show more decimal places: two bytes before the digits.
        Kind::Numeric { limits: None } if is_key && bytes.len() >= 8 => {
            same = [&bytes[..6], &[0, 0], &bytes[8..]].concat();
            &same
        }
        // A version before the text; the server's has its members in an order of its own.
        Kind::Jsonb => {
            match serde_json::from_slice::<serde_json::Value>(bytes.get(1..).unwrap_or_default()) {
                Ok(value) => {
                    same = value.to_string().into_bytes();
                    &same
                }
                Err(_) => bytes,
            }
        }
        _ => bytes,
    };
    image.push(1);
    image.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    image.extend_from_slice(bytes);
}
