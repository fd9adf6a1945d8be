//! Forgetting: lines of the ledger that are old and say nothing that anybody still asks for.
//!
//! Of every object the newest line stays, so that it is known whether the object has been loaded; of every version the
//! last failure, which is repeated to whoever delivers it again; and whatever is at work or to be continued. What is to go is
//! read first and then deleted by whole keys, which every dialect takes.

use std::time::Duration;

use super::Ledger;
use crate::database::{Parameter, Row, Session, Type};
use crate::error::Result;

/// Lines read at once: a few megabytes of names.
const PAGE_LINES_MAX: i64 = 20_000;
/// Keys in one DELETE: five values each, far below every limit on values and text.
const KEYS_MAX: usize = 200;
const KEY_COLUMNS: [&str; 5] = ["bucket", "object_key", "version", "table_name", "attempt"];

/// Deletes lines older than so much; answers how many went, or would go.
pub async fn prune(
    ledger: &Ledger,
    session: &mut Session,
    older_than: Duration,
    dry_run: bool,
) -> Result<u64> {
    let before = session.server_now() - older_than;
    if dry_run {
        let sql = format!("SELECT count(*) {}", ledger.forgettable());
        let rows = session.query(&sql, &[(&before, Type::TIMESTAMPTZ)], "read the ledger").await?;
        let count = rows.first().map_or(0, |row| row.get::<_, i64>(0));
        return Ok(u64::try_from(count).unwrap_or(0));
    }
    let columns = KEY_COLUMNS.map(|column| format!("line.{column}")).join(", ");
    let sql = format!("SELECT {columns} {} LIMIT $2", ledger.forgettable());
    let mut count = 0;
    loop {
        let values: [Parameter<'_>; 2] = [(&before, Type::TIMESTAMPTZ), (&PAGE_LINES_MAX, Type::INT8)];
        let lines = session.query(&sql, &values, "read the ledger").await?;
        for some in lines.chunks(KEYS_MAX) {
            ledger.delete_lines(session, some).await?;
            count += some.len() as u64;
        }
        // A page that was not full was the last one.
        if i64::try_from(lines.len()).is_ok_and(|read| read < PAGE_LINES_MAX) {
            return Ok(count);
        }
    }
}

impl Ledger {
    /// `FROM … WHERE …` of the lines that may go; `$1` is the time before which they ended.
    fn forgettable(&self) -> String {
        let ledger = self.ledger.quoted();
        format!(
            "FROM {ledger} AS line \
             JOIN (SELECT bucket, object_key, table_name, max(finished_at) AS finished_at FROM {ledger} \
             GROUP BY bucket, object_key, table_name) AS newest \
             ON newest.bucket = line.bucket AND newest.object_key = line.object_key \
             AND newest.table_name = line.table_name \
             LEFT JOIN (SELECT bucket, object_key, version, table_name, max(attempt) AS attempt FROM {ledger} \
             WHERE status = 'failed' GROUP BY bucket, object_key, version, table_name) AS failure \
             ON failure.bucket = line.bucket AND failure.object_key = line.object_key \
             AND failure.version = line.version AND failure.table_name = line.table_name \
             WHERE line.finished_at < $1 AND line.finished_at < newest.finished_at \
             AND line.status <> 'running' AND line.status <> 'continued' AND line.resume IS NULL \
             AND (failure.attempt IS NULL OR line.attempt <> failure.attempt)"
        )
    }

    async fn delete_lines(&self, session: &mut Session, lines: &[Row]) -> Result<()> {
        let texts: Vec<[&str; 4]> =
            lines.iter().map(|line| [line.get(0), line.get(1), line.get(2), line.get(3)]).collect();
        let attempts: Vec<i32> = lines.iter().map(|line| line.get(4)).collect();
        let mut values: Vec<Parameter<'_>> = Vec::with_capacity(lines.len() * KEY_COLUMNS.len());
        for (names, attempt) in texts.iter().zip(&attempts) {
            values.extend(names.iter().map(|name| -> Parameter<'_> { (name, Type::TEXT) }));
            values.push((attempt, Type::INT4));
        }
        let line = |at: usize| {
            let equal = KEY_COLUMNS.iter().enumerate();
            let equal =
                equal.map(|(column, name)| format!("{name} = ${}", at * KEY_COLUMNS.len() + column + 1));
            format!("({})", equal.collect::<Vec<_>>().join(" AND "))
        };
        let named: Vec<String> = (0..lines.len()).map(line).collect();
        let sql = format!("DELETE FROM {} WHERE {}", self.ledger.quoted(), named.join(" OR "));
        session.query(&sql, &values, "delete lines of the ledger").await.map(drop)
    }
}
