//! Objects whose last load failed, as the ledger knows them.

use std::time::{Duration, SystemTime};

use super::Ledger;
use crate::database::{Parameter, Session, Type};
use crate::error::Result;
use crate::object::{LOCAL_BUCKET, ObjectRef, STDIN_BUCKET};

/// Lines read at once.
const PAGE_LINES_MAX: i64 = 1_000;

/// An object whose last load into some table failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which one.
    pub object: ObjectRef,
    /// The tables; an empty name where it failed before there was one.
    pub tables: Vec<String>,
    /// Bytes that were read of it.
    pub byte_count: u64,
}

/// When an object failed, milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// At this time or later.
    pub from_ms: Option<i64>,
    /// Before this time.
    pub to_ms: Option<i64>,
}

/// The next objects in S3 whose last line is `failed`, in the order of their names, and whether there are no more.
pub async fn failures(
    ledger: &Ledger,
    session: &mut Session,
    window: Window,
    after: Option<&ObjectRef>,
) -> Result<(Vec<Failure>, bool)> {
    let name = ledger.ledger.quoted();
    let is_ours = format!("bucket <> '{LOCAL_BUCKET}' AND bucket <> '{STDIN_BUCKET}'");
    let is_after = "($1 IS NULL OR bucket > $1 OR (bucket = $1 AND object_key > $2))";
    let sql = format!(
        "SELECT line.bucket, line.object_key, line.table_name, line.byte_count FROM {name} AS line \
         JOIN (SELECT bucket, object_key, table_name, max(finished_at) AS finished_at FROM {name} \
         WHERE {is_after} AND {is_ours} GROUP BY bucket, object_key, table_name) AS newest \
         ON newest.bucket = line.bucket AND newest.object_key = line.object_key \
         AND newest.table_name = line.table_name AND newest.finished_at = line.finished_at \
         JOIN (SELECT bucket, object_key, max(finished_at) AS finished_at FROM {name} \
         WHERE {is_after} AND {is_ours} GROUP BY bucket, object_key) AS last \
         ON last.bucket = line.bucket AND last.object_key = line.object_key \
         AND (line.table_name <> '' OR last.finished_at = line.finished_at) \
         WHERE line.status = 'failed' AND ($3 IS NULL OR line.finished_at >= $3) \
         AND ($4 IS NULL OR line.finished_at < $4) \
         ORDER BY line.bucket, line.object_key, line.table_name LIMIT $5"
    );
    let (bucket, key) = after.map(|after| (&after.bucket, &after.key)).unzip();
    let (from, to) = (window.from_ms.and_then(moment), window.to_ms.and_then(moment));
    let values: [Parameter<'_>; 5] = [
        (&bucket, Type::TEXT),
        (&key, Type::TEXT),
        (&from, Type::TIMESTAMPTZ),
        (&to, Type::TIMESTAMPTZ),
        (&PAGE_LINES_MAX, Type::INT8),
    ];
    let rows = session.query(&sql, &values, "look up what failed in the ledger").await?;
    let is_last = i64::try_from(rows.len()).is_ok_and(|read| read < PAGE_LINES_MAX);
    let mut found: Vec<Failure> = Vec::new();
    for row in rows {
        let (object, table) = (ObjectRef { bucket: row.get(0), key: row.get(1) }, row.get(2));
        let byte_count =
            row.get::<_, Option<i64>>(3).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        match found.last_mut().filter(|last| last.object == object) {
            Some(last) => last.tables.push(table),
            None => found.push(Failure { object, tables: vec![table], byte_count }),
        }
    }
    // Of the last object on a full page not every table may be there: it is the first of the next one.
    if !is_last && found.len() > 1 {
        found.pop();
    }
    Ok((found, is_last))
}

fn moment(ms: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(ms).ok()?))
}
