//! What the ledger knows of objects that a listing found.

use std::collections::BTreeMap;

use super::Ledger;
use crate::database::{Parameter, Session, Type};
use crate::error::Result;

/// Keys asked for at once.
pub const KNOWN_KEYS_MAX: usize = 500;

/// What became of one version of an object in one table.
#[derive(Clone, Debug)]
pub struct Known {
    /// The table.
    pub table: String,
    /// `ETag` of the version, where one was read.
    pub etag: Option<String>,
    /// Status of the line.
    pub status: String,
    /// The greatest sequencer of such lines.
    pub sequencer: Option<String>,
    /// When the last of such lines ended, milliseconds since 1970.
    pub finished_ms: i64,
}

/// The lines of at most [`KNOWN_KEYS_MAX`] objects by key: one for each table, version and status.
pub async fn known(
    ledger: &Ledger,
    session: &mut Session,
    bucket: &str,
    keys: &[&str],
) -> Result<BTreeMap<String, Vec<Known>>> {
    // One set-returning function is what every Hologres takes.
    let sql = format!(
        "SELECT object_key, table_name, etag, status, max(sequencer), max(finished_at) FROM {} \
         WHERE bucket = $1 AND object_key IN (SELECT unnest($2::text[])) \
         GROUP BY object_key, table_name, etag, status",
        ledger.ledger.quoted()
    );
    let values: [Parameter<'_>; 2] = [(&bucket, Type::TEXT), (&keys, Type::TEXT_ARRAY)];
    let rows = session.query(&sql, &values, "look objects up in the ledger").await?;
    let mut known: BTreeMap<String, Vec<Known>> = BTreeMap::new();
    for row in rows {
        let finished_at: Option<std::time::SystemTime> = row.get(5);
        let since = finished_at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        known.entry(row.get(0)).or_default().push(Known {
            table: row.get(1),
            etag: row.get(2),
            status: row.get(3),
            sequencer: row.get(4),
            finished_ms: since.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0),
        });
    }
    Ok(known)
}
