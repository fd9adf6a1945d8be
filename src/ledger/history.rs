//! Reading the ledger, newest first.

use serde::Serialize;

use super::Ledger;
use crate::database::{Parameter, Session, Type};
use crate::error::Result;

/// Which lines are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One status.
    pub status: Option<String>,
    /// Keys that begin so.
    pub prefix: Option<String>,
    /// One table.
    pub table: Option<String>,
    /// At most so many.
    pub line_max: i64,
}

/// One line of the ledger.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the ledger's own column names, explained in the README")]
pub struct Entry {
    pub bucket: String,
    pub key: String,
    pub version: String,
    pub table: String,
    pub attempt: i32,
    pub sequencer: Option<String>,
    pub status: String,
    pub reason: Option<String>,
    pub row_count: Option<i64>,
    pub inserted_count: Option<i64>,
    pub updated_count: Option<i64>,
    pub unchanged_count: Option<i64>,
    pub reject_count: Option<i64>,
    pub duplicate_count: Option<i64>,
    pub byte_count: Option<i64>,
    pub write_path: Option<String>,
    pub atomic: Option<bool>,
    pub request_id: Option<String>,
    pub next_offset: Option<i64>,
    pub next_record: Option<i64>,
    pub phases: Option<String>,
    pub event_time: Option<String>,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
    pub duration_ms: Option<i64>,
    pub lag_ms: Option<i64>,
    pub rejects: Option<String>,
    pub error_class: Option<String>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub hint: Option<String>,
}

/// Lines of the ledger, newest first.
pub async fn history(ledger: &Ledger, session: &mut Session, filter: &Filter) -> Result<Vec<Entry>> {
    let instant = |column: &str| {
        format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS {column}")
    };
    let sql = format!(
        "SELECT bucket, object_key, version, table_name, attempt, sequencer, status, reason, row_count, inserted_count, \
         updated_count, unchanged_count, reject_count, duplicate_count, byte_count, write_path, atomic, request_id, next_offset, next_record, phases, \
         {}, {}, {}, duration_ms, \
         lag_ms, rejects, error_class, error_code, error_message, hint FROM {} AS line \
         WHERE ($1 IS NULL OR status = $1) AND ($2 IS NULL OR left(object_key, length($2)) = $2) \
         AND ($3 IS NULL OR table_name = $3) ORDER BY line.finished_at DESC, attempt DESC LIMIT $4",
        instant("event_time"),
        instant("started_at"),
        instant("finished_at"),
        ledger.ledger.quoted()
    );
    let values: [Parameter<'_>; 4] = [
        (&filter.status, Type::TEXT),
        (&filter.prefix, Type::TEXT),
        (&filter.table, Type::TEXT),
        (&filter.line_max, Type::INT8),
    ];
    let rows = session.query(&sql, &values, "read the ledger").await?;
    Ok(rows
        .iter()
        .map(|row| Entry {
            bucket: row.get("bucket"),
            key: row.get("object_key"),
            version: row.get("version"),
            table: row.get("table_name"),
            attempt: row.get("attempt"),
            sequencer: row.get("sequencer"),
            status: row.get("status"),
            reason: row.get("reason"),
            row_count: row.get("row_count"),
            inserted_count: row.get("inserted_count"),
            updated_count: row.get("updated_count"),
            unchanged_count: row.get("unchanged_count"),
            reject_count: row.get("reject_count"),
            duplicate_count: row.get("duplicate_count"),
            byte_count: row.get("byte_count"),
            write_path: row.get("write_path"),
            atomic: row.get("atomic"),
            request_id: row.get("request_id"),
            next_offset: row.get("next_offset"),
            next_record: row.get("next_record"),
            phases: row.get("phases"),
            event_time: row.get("event_time"),
            started_at: row.get("started_at"),
            finished_at: row.get("finished_at"),
            duration_ms: row.get("duration_ms"),
            lag_ms: row.get("lag_ms"),
            rejects: row.get("rejects"),
            error_class: row.get("error_class"),
            error_code: row.get("error_code"),
            error_message: row.get("error_message"),
            hint: row.get("hint"),
        })
        .collect())
}
