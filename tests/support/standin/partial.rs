//! The arrays of an unnest INSERT.
//!
//! A Fixed Plan of several rows that fails: "no records were written, or only some". Here some are, where that is
//! possible: the first half. And a key that stands in it twice, which PostgreSQL passes over in silence where a
//! conflict is ignored, is refused: what a Fixed Plan makes of one is documented nowhere.

use std::collections::HashSet;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use super::session::{Session, Stop};
use super::wire::take_text;

/// Dimensions, flags, element type, length, lower bound.
const ARRAY_HEADER_BYTES: usize = 20;

/// An array in its wire form.
#[derive(Debug)]
struct Array(Bytes);

impl ToSql for Array {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Binary
    }

    to_sql_checked!();
}

impl Session {
    /// Writes the first half of the rows that were bound, if they can be written.
    pub async fn write_some(&mut self, sql: &str, bound: &Bytes) -> Result<(), Stop> {
        let Some(arrays) = first_halves(bound.clone()) else { return Ok(()) };
        let side = self.side().await?;
        // Where the first half holds the bad row, no rows are written, which is as good.
        if let Ok(statement) = side.client.prepare(sql).await {
            let _ = side.client.execute_raw(&statement, &arrays).await;
        }
        self.side = Some(side);
        Ok(())
    }
}

/// Whether the arrays at these places hold the same elements twice.
pub fn has_key_twice(bind: &Bytes, places: &[usize]) -> bool {
    let Some(arrays) = arrays(bind.clone()) else { return false };
    let keys: Option<Vec<Vec<Bytes>>> = places.iter().map(|place| elements(arrays.get(*place)?)).collect();
    let Some(keys) = keys.filter(|keys| !keys.is_empty()) else { return false };
    let mut seen = HashSet::new();
    let row_count = keys.iter().map(Vec::len).min().unwrap_or(0);
    (0..row_count).any(|row| !seen.insert(keys.iter().map(|key| key[row].clone()).collect::<Vec<_>>()))
}

/// The elements as they travel; one without a value is as good as an empty one here.
fn elements(array: &Bytes) -> Option<Vec<Bytes>> {
    let mut rest = array.get(ARRAY_HEADER_BYTES..).map(|_| array.slice(ARRAY_HEADER_BYTES..))?;
    let mut elements = Vec::new();
    while rest.has_remaining() {
        let size = usize::try_from(rest.try_get_i32().ok()?).unwrap_or(0);
        elements.push((size <= rest.len()).then(|| rest.split_to(size))?);
    }
    Some(elements)
}

fn first_halves(bind: Bytes) -> Option<Vec<Array>> {
    arrays(bind)?.iter().map(first_half).collect()
}

/// The values of a Bind message; `None` unless all of them are there and binary.
fn arrays(mut bind: Bytes) -> Option<Vec<Bytes>> {
    take_text(&mut bind)?;
    take_text(&mut bind)?;
    let format_count = bind.try_get_u16().ok()?;
    for _ in 0..format_count {
        (bind.try_get_u16().ok()? == 1).then_some(())?;
    }
    let value_count = bind.try_get_u16().ok()?;
    (format_count > 0 && value_count > 0).then_some(())?;
    (0..value_count)
        .map(|_| {
            let size = usize::try_from(bind.try_get_i32().ok()?).ok()?;
            (size <= bind.len()).then(|| bind.split_to(size))
        })
        .collect()
}

fn first_half(array: &Bytes) -> Option<Array> {
    let number = |at: usize| Some(i32::from_be_bytes(array.get(at..at + 4)?.try_into().ok()?));
    let count = number(12)? / 2;
    (number(0)? == 1 && count > 0).then_some(())?;
    let mut end = ARRAY_HEADER_BYTES;
    for _ in 0..count {
        end += 4 + usize::try_from(number(end)?).unwrap_or(0);
    }
    let mut half = BytesMut::from(array.get(..end)?);
    half[12..16].copy_from_slice(&count.to_be_bytes());
    Some(Array(half.freeze()))
}
