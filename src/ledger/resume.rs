//! Where a load that was broken off, or handed on, goes on.

use serde::{Deserialize, Serialize};

use super::{Ledger, place};
use crate::database::{Parameter, Session, Type};
use crate::error::{Class, Result};
use crate::object::Request;
use crate::report::Status;
use crate::table::TableName;

/// What is said of a line whose load ended without a word.
const BROKEN_OFF: &str = "it broke off; another attempt went on from here";
const OVERTAKEN: &str = "it broke off, and a newer version came before another attempt";

/// Everything before it is durable: rows in the table, bad rows in their reject object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// Byte of the object at which the next record begins; of columns the records before it.
    pub offset: u64,
    /// Its physical line, from 1.
    pub line: u64,
    /// Records before it, the header not counted.
    pub record: u64,
    /// The header's own text, where the object has one; of JSON the names that its first records have.
    pub header: Option<String>,
    /// The object's format; delimited text where nothing is said.
    #[serde(default)]
    pub format: String,
    /// Fields in every record.
    pub field_count: usize,
    /// What was counted up to here.
    pub totals: Totals,
    /// Reject objects that are written.
    pub rejects: Vec<String>,
    /// Settings and table under which that is so.
    #[serde(default)]
    pub plan: String,
    /// By what the rows of a snapshot are known.
    #[serde(default)]
    pub mark: Option<String>,
    /// The object is compressed or in another charset: `offset` counts bytes of its UTF-8 text.
    #[serde(default)]
    pub is_packed: bool,
    /// By force: the load that came so far did not go by what the ledger says is loaded.
    #[serde(default)]
    pub is_forced: bool,
}

impl ResumePoint {
    /// Whether `offset` counts records: those of columns lie nowhere in one place.
    pub fn is_by_record(&self) -> bool {
        self.format == "parquet"
    }
}

/// What earlier loads of a version mean for this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: it begins at the beginning.
    #[default]
    Nothing,
    /// It goes on here.
    Left(ResumePoint),
    /// This very load handed itself on here, and the answer to that was lost.
    HandedOn(ResumePoint),
    /// It was handed on, and somebody has taken it to its end.
    Done,
}

/// What was counted of an object, over all invocations so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Rows that were new, where the server tells.
    pub inserted: Option<u64>,
    /// Rows that were changed, where the server tells.
    pub updated: Option<u64>,
    /// Rows that were there already.
    pub unchanged: u64,
    /// Rows deleted, where the server tells.
    #[serde(default)]
    pub deleted: Option<u64>,
    /// Bad rows.
    pub rejects: u64,
    /// Rows that gave way to another one of the same key.
    pub duplicates: u64,
    /// Moments that lost digits.
    pub cut: u64,
}

impl Ledger {
    /// Where a load of this version can go on, if one was broken off or handed on under the same plan, and nothing else
    /// of this object was written since. The claim is ours: whoever wrote the line is not at work any more.
    pub(super) async fn earlier(
        &self,
        session: &mut Session,
        request: &Request,
        table: &TableName,
        plan_hash: &str,
        owner: &str,
    ) -> Result<Earlier> {
        let Some(version) = request.version.identity() else { return Ok(Earlier::Nothing) };
        let name = table.to_string();
        let named = "bucket = $1 AND object_key = $2 AND version = $3 AND table_name = $4";
        let ledger = self.ledger.quoted();
        let sql = format!(
            "SELECT attempt, status, load_id, resume, coalesce(error_class, '') AS error_class, \
             coalesce(reason, '') AS reason, (SELECT max(other.finished_at) FROM {ledger} AS other \
             WHERE other.bucket = $1 AND other.object_key = $2 AND other.version <> $3 AND other.table_name = $4 \
             AND other.status IN ('loaded', 'deleted', 'running', 'continued', 'failed')) > finished_at AS is_passed FROM {ledger} \
             WHERE {named} AND (resume IS NOT NULL OR status IN ('loaded', 'running') OR (status = 'failed' AND \
             error_class = 'Input' AND error_code IS NULL)) ORDER BY attempt DESC LIMIT 1"
        );
        let values = place(request, &version, &name);
        let rows = session.query(&sql, &values, "look where to go on").await?;
        let Some(row) = rows.first() else { return Ok(Earlier::Nothing) };
        let status: String = row.get("status");
        let is_own = row.get::<_, Option<&str>>("load_id") == Some(owner);
        if status == Status::Running.name() && !is_own {
            let end = (Status::Continued, BROKEN_OFF);
            self.close(session, request, &name, row.get("attempt"), end).await?;
        }
        // What failed for its content is loaded from the beginning, if anybody asks for it again.
        let is_open = status == Status::Running.name()
            || status == Status::Continued.name()
            || status == Status::Failed.name() && row.get::<_, &str>("error_class") != Class::Input.name();
        let is_passed = row.get::<_, Option<bool>>("is_passed") == Some(true);
        let text: Option<String> = row.get("resume");
        let point = text.and_then(|text| serde_json::from_str::<ResumePoint>(&text).ok());
        // By force an object is loaded from its beginning, once: what hands that load on, or calls again because it was told
        // that the load is not at its end, goes on with it. What broke off or failed begins anew.
        let is_handed_on = request.continuation.is_some();
        if request.force && is_handed_on && status == Status::Loaded.name() {
            return Ok(Earlier::Done);
        }
        let is_told = status == Status::Continued.name() && row.get::<_, &str>("reason") != BROKEN_OFF;
        let is_meant =
            |point: &ResumePoint| is_own || is_handed_on || !request.force || is_told && point.is_forced;
        let is_valid =
            |point: &ResumePoint| is_open && !is_passed && is_meant(point) && point.plan == plan_hash;
        Ok(match point.filter(is_valid) {
            Some(point) if is_own && status == Status::Continued.name() => Earlier::HandedOn(point),
            Some(point) => Earlier::Left(point),
            None => Earlier::Nothing,
        })
    }

    /// Loads of this version that were killed and that nobody will go on with, since a newer one is there: their lines do not
    /// say `running` for ever.
    pub async fn close_overtaken(
        &self,
        session: &mut Session,
        request: &Request,
        table: &str,
        owner: &str,
    ) -> Result<()> {
        let Some(version) = request.version.identity() else { return Ok(()) };
        let name = table.to_owned();
        let sql = format!(
            "SELECT attempt FROM {} WHERE bucket = $1 AND object_key = $2 AND version = $3 AND table_name = $4 \
             AND status = 'running' AND load_id <> $5",
            self.ledger.quoted()
        );
        let mut values: Vec<Parameter<'_>> = place(request, &version, &name).into_iter().collect();
        values.push((&owner, Type::TEXT));
        for row in session.query(&sql, &values, "look for loads that broke off").await? {
            let end = (Status::Superseded, OVERTAKEN);
            self.close(session, request, &name, row.get("attempt"), end).await?;
        }
        Ok(())
    }

    async fn close(
        &self,
        session: &mut Session,
        request: &Request,
        table: &String,
        attempt: i32,
        (status, reason): (Status, &str),
    ) -> Result<()> {
        let version = request.version.identity().unwrap_or("");
        let sql = format!(
            "INSERT INTO {} AS held (bucket, object_key, version, table_name, attempt, status, reason) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (bucket, object_key, version, table_name, attempt) \
             DO UPDATE SET status = excluded.status, reason = excluded.reason WHERE held.status = 'running'",
            self.ledger.quoted()
        );
        let status = status.name();
        let mut values: Vec<Parameter<'_>> = place(request, &version, table).into_iter().collect();
        values.extend([(&attempt as _, Type::INT4), (&status as _, Type::TEXT), (&reason as _, Type::TEXT)]);
        session.query(&sql, &values, "close the line of a load that broke off").await.map(drop)
    }
}
