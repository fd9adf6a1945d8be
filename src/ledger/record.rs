//! One line of the history for each load.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{ATTEMPT_TRIES_MAX, Ledger, ResumePoint};
use crate::database::{Parameter, Session, Type};
use crate::error::{Error, Result};
use crate::object::ObjectVersion;
use crate::report::Report;

/// What is written into the history.
pub struct Line<'a> {
    /// Counts, phases, error.
    pub report: &'a Report,
    /// The status, which the report may not have yet.
    pub status_name: &'static str,
    /// What was read, or meant.
    pub version: &'a ObjectVersion,
    /// Settings and table.
    pub plan_hash: Option<&'a str>,
    /// Of the invocation.
    pub request_id: Option<&'a str>,
    /// Of this load: no other has it.
    pub load_id: &'a str,
    /// When the object was put.
    pub event_time_ms: Option<i64>,
    /// When this load began.
    pub started_ms: i64,
    /// Where the next attempt can go on.
    pub resume: Option<&'a ResumePoint>,
}

/// The columns of a line but the first four, which name the load, the attempt and the time it ended.
const COLUMNS: &str = "version_id, etag, sequencer, status, reason, row_count, inserted_count, updated_count, unchanged_count, \
     reject_count, duplicate_count, byte_count, write_path, atomic, plan_hash, request_id, load_id, event_time, started_at, \
     duration_ms, lag_ms, phases, rejects, error_class, error_code, error_message, hint, \
     next_offset, next_record, resume";
const COLUMN_COUNT: usize = 30;
/// Where `load_id` stands among them.
const LOAD_ID_AT: usize = 16;
const NAME_COLUMNS: &str = "bucket, object_key, version, table_name";
const NAMED: &str = "bucket = $1 AND object_key = $2 AND version = $3 AND table_name = $4";

/// The values of a line, in the types they are bound as.
struct Values<'a> {
    report: &'a Report,
    version: &'a str,
    table: &'a str,
    counts: [Option<i64>; 7],
    event_time: Option<SystemTime>,
    started_at: SystemTime,
    duration_ms: i64,
    phases: String,
    class: Option<&'static str>,
    code: Option<&'a str>,
    message: Option<&'a str>,
    hint: Option<&'a str>,
    next_offset: Option<i64>,
    next_record: Option<i64>,
    resume: Option<String>,
}

impl<'a> Values<'a> {
    fn new(line: &Line<'a>) -> Self {
        let report = line.report;
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let error = report.error.as_ref();
        Self {
            report,
            version: line.version.identity().unwrap_or(""),
            table: report.table.as_deref().unwrap_or(""),
            counts: [
                Some(number(report.row_count)),
                report.inserted_count.map(number),
                report.updated_count.map(number),
                Some(number(report.unchanged_count)),
                Some(number(report.reject_count)),
                Some(number(report.duplicate_count)),
                Some(number(report.byte_count)),
            ],
            event_time: line.event_time_ms.map(moment),
            started_at: moment(line.started_ms),
            duration_ms: number(report.duration_ms),
            phases: serde_json::to_value(report.phases).unwrap_or(Value::Null).to_string(),
            class: error.map(|error| error.class.name()),
            code: error.and_then(|error| error.code.as_deref()),
            message: error.map(|error| error.message.as_str()),
            hint: error.and_then(|error| error.hint.as_deref()),
            next_offset: line.resume.map(|point| number(point.offset)),
            next_record: line.resume.map(|point| number(point.record)),
            resume: line.resume.and_then(|point| serde_json::to_string(point).ok()),
        }
    }

    fn name(&self) -> [Parameter<'_>; 4] {
        [
            (&self.report.bucket, Type::TEXT),
            (&self.report.key, Type::TEXT),
            (&self.version, Type::TEXT),
            (&self.table, Type::TEXT),
        ]
    }

    fn rest<'v>(&'v self, line: &'v Line<'a>) -> [Parameter<'v>; COLUMN_COUNT] {
        let report = self.report;
        let count = |at: usize| -> Parameter<'v> { (&self.counts[at], Type::INT8) };
        [
            (&line.version.version_id, Type::TEXT),
            (&line.version.etag, Type::TEXT),
            (&report.sequencer, Type::TEXT),
            (&line.status_name, Type::TEXT),
            (&report.reason, Type::TEXT),
            count(0),
            count(1),
            count(2),
            count(3),
            count(4),
            count(5),
            count(6),
            (&report.write_path, Type::TEXT),
            (&report.atomic, Type::BOOL),
            (&line.plan_hash, Type::TEXT),
            (&line.request_id, Type::TEXT),
            (&line.load_id, Type::TEXT),
            (&self.event_time, Type::TIMESTAMPTZ),
            (&self.started_at, Type::TIMESTAMPTZ),
            (&self.duration_ms, Type::INT8),
            (&report.lag_ms, Type::INT8),
            (&self.phases, Type::TEXT),
            (&report.rejects, Type::TEXT),
            (&self.class, Type::TEXT),
            (&self.code, Type::TEXT),
            (&self.message, Type::TEXT),
            (&self.hint, Type::TEXT),
            (&self.next_offset, Type::INT8),
            (&self.next_record, Type::INT8),
            (&self.resume, Type::TEXT),
        ]
    }
}

impl Ledger {
    /// Writes the load's line: a new one under the next number of attempt, or the one that it has while it is at work.
    /// A line that says how the load ended stays as it is: what comes after it had lost the answer to its commit.
    pub async fn record(&self, session: &mut Session, line: &Line<'_>) -> Result<()> {
        let values = Values::new(line);
        for _ in 0..ATTEMPT_TRIES_MAX {
            let is_written = if session.dialect().is_hologres() {
                self.record_next(session, line, &values).await?
            } else {
                let all: Vec<Parameter<'_>> = values.name().into_iter().chain(values.rest(line)).collect();
                !session.query(&self.record_sql(), &all, "write the ledger").await?.is_empty()
                    || self.is_recorded(session, line, &values).await?
            };
            if is_written {
                return Ok(());
            }
        }
        Err(Error::transient("write the ledger: other loads of this object keep taking the attempt's number"))
    }

    fn record_sql(&self) -> String {
        let ledger = self.ledger.quoted();
        let load_id = 5 + LOAD_ID_AT;
        format!(
            "INSERT INTO {ledger} AS held ({NAME_COLUMNS}, attempt, {COLUMNS}, finished_at) SELECT $1, $2, $3, $4, \
             coalesce((SELECT max(attempt) FROM {ledger} WHERE {NAMED} AND load_id = ${load_id}), \
             (SELECT max(attempt) FROM {ledger} WHERE {NAMED}) + 1, 1), {}, clock_timestamp() \
             ON CONFLICT ({NAME_COLUMNS}, attempt) DO UPDATE SET {} \
             WHERE held.load_id = excluded.load_id AND held.status = 'running' RETURNING true",
            places(5, COLUMN_COUNT),
            assignments(true),
        )
    }

    async fn is_recorded(&self, session: &mut Session, line: &Line<'_>, values: &Values<'_>) -> Result<bool> {
        let sql = format!(
            "SELECT true FROM {} WHERE {NAMED} AND load_id = $5 AND status <> 'running'",
            self.ledger.quoted()
        );
        let mut asked: Vec<Parameter<'_>> = values.name().into_iter().collect();
        asked.push((&line.load_id, Type::TEXT));
        Ok(!session.query(&sql, &asked, "look for the line of the ledger").await?.is_empty())
    }

    /// On Hologres: values alone, as a Fixed Plan wants them, and whether the line is ours is read back.
    async fn record_next(&self, session: &mut Session, line: &Line<'_>, values: &Values<'_>) -> Result<bool> {
        const ACTION: &str = "write the ledger";
        let ledger = self.ledger.quoted();
        let last_sql = format!(
            "SELECT max(attempt), max(CASE WHEN load_id = $5 THEN attempt END), \
             max(CASE WHEN load_id = $5 AND status <> 'running' THEN attempt END) FROM {ledger} WHERE {NAMED}"
        );
        let mut asked: Vec<Parameter<'_>> = values.name().into_iter().collect();
        asked.push((&line.load_id, Type::TEXT));
        let rows = session.query(&last_sql, &asked, ACTION).await?;
        let number = |at: usize| rows.first().and_then(|row| row.get::<_, Option<i32>>(at));
        if number(2).is_some() {
            // The connection had broken before this was known.
            return Ok(true);
        }
        let attempt = number(1).unwrap_or_else(|| number(0).unwrap_or(0) + 1);
        let finished_at = session.server_now();
        let mut all: Vec<Parameter<'_>> = values.name().into_iter().collect();
        all.push((&attempt, Type::INT4));
        all.extend(values.rest(line));
        all.push((&finished_at, Type::TIMESTAMPTZ));
        let insert = format!(
            "INSERT INTO {ledger} AS held ({NAME_COLUMNS}, attempt, {COLUMNS}, finished_at) VALUES ({}) \
             ON CONFLICT ({NAME_COLUMNS}, attempt) DO UPDATE SET {} WHERE held.load_id = excluded.load_id",
            places(1, COLUMN_COUNT + 6),
            assignments(false),
        );
        let look = format!("SELECT load_id FROM {ledger} WHERE {NAMED} AND attempt = $5");
        let mut mine: Vec<Parameter<'_>> = values.name().into_iter().collect();
        mine.push((&attempt, Type::INT4));
        let rows = session.query_after((&insert, &all), (&look, &mine), ACTION).await?;
        Ok(rows.first().is_some_and(|row| row.get::<_, Option<&str>>("load_id") == Some(line.load_id)))
    }
}

/// What a line that is written again sets. How far a load came the line itself knows best, where it was committed with the
/// rows: a load that fails may not have heard of its last commit.
fn assignments(is_committed: bool) -> String {
    let columns = COLUMNS.split(", ").chain(["finished_at"]).map(str::trim);
    let assign = |column| match column {
        "next_offset" | "next_record" | "resume" if is_committed => {
            format!(
                "{column} = CASE WHEN excluded.status = 'failed' THEN held.{column} ELSE excluded.{column} END"
            )
        }
        _ => format!("{column} = excluded.{column}"),
    };
    columns.map(assign).collect::<Vec<_>>().join(", ")
}

/// `$3, $4, $5`
fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|at| format!("${at}")).collect::<Vec<_>>().join(", ")
}

fn moment(epoch_ms: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(epoch_ms).unwrap_or(0))
}
