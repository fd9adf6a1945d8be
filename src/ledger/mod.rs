//! Claim, finish, history; and the fence that keeps older versions out.
//!
//! Two tables. The ledger is history: one row for each load (bucket, key, version or ETag, table, attempt). The
//! fence, key (bucket, key, table), is the claim and remembers what was read last. On PostgreSQL the claim is
//! the fence row, locked in the load's own transaction: it dies with the connection, and fence, ledger and rows
//! commit together. On Hologres it is a lease.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use crate::database::{Parameter, Row, Session, Type};
use crate::error::{Class, Error, Result};
use crate::object::{ObjectVersion, Request, Sequencer};
use crate::report::Status;
use crate::table::TableName;

mod ddl;
mod failed;
mod history;
mod inspect;
mod known;
mod lease;
mod prune;
mod record;
mod resume;

pub use ddl::{grants, statements};
pub use failed::{Failure, Window, failures};
pub use history::{Entry, Filter, history};
pub use inspect::{TableState, inspect};
pub use known::{KNOWN_KEYS_MAX, Known, known};
pub use lease::{LEASED_STATEMENT_MS, Lease};
pub use prune::prune;
pub use record::Line;
pub use resume::{Earlier, ResumePoint, Totals};

/// Before a verdict that is repeated; in the ledger it stands once, however often that was.
const REPEATED: &str = "failed before, under the same settings: ";
/// Other writers of the same history may take the number first; each try looks again.
const ATTEMPT_TRIES_MAX: u32 = 8;
/// Tries to create the tables: a hundred cold starts at once are let through one after the other.
const CREATE_TRIES_MAX: u32 = 12;
/// Before the tables are looked for again, doubled each time: whoever creates them needs some milliseconds.
const CREATE_PAUSE_MS: u64 = 5;
/// And at the most.
const CREATE_PAUSE_MAX_MS: u64 = 1_000;

/// The two tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// History.
    pub ledger: TableName,
    /// Claims.
    pub fence: TableName,
}

impl Ledger {
    /// The ledger called `name` and the fence beside it.
    pub fn new(name: &str) -> Result<Self> {
        let ledger = TableName::parse(name)?;
        let stem = ledger.name.strip_suffix("_ledger").unwrap_or(&ledger.name);
        let fence = TableName { schema: ledger.schema.clone(), name: format!("{stem}_fence") };
        Ok(Self { ledger, fence })
    }
}

/// What a claim found.
#[derive(Debug)]
pub enum Claim {
    /// Nobody has loaded this version, nor a newer one: go on.
    Fresh(Box<Held>),
    /// This version has been loaded.
    AlreadyLoaded {
        /// It had been loaded without its sequencer, which the fence must learn.
        must_raise: bool,
    },
    /// A newer one has.
    Superseded(String),
    /// It failed before, under the same plan: the recorded error.
    Failed(Error),
}

/// Who asks for a claim.
#[derive(Debug)]
pub struct Claimant<'a> {
    /// A name that no other load has.
    pub owner: &'a str,
    /// An attempt before this one had the lease, and ended.
    pub has_lease: bool,
    /// When the lease ends that was last asked for: an attempt whose connection broke may have got it unheard.
    pub asked_until: &'a mut Option<SystemTime>,
    /// How long it waits for another load.
    pub wait: Duration,
}

/// How far a load has come, for the fence.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// What was read.
    pub read: &'a ObjectVersion,
    /// All of it, and not only a part, after which older versions are kept out and this one is not done.
    pub is_whole: bool,
    /// In whose name.
    pub owner: &'a str,
}

/// A fence row that is ours until the transaction, or the lease, ends.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// On Hologres.
    pub lease: Option<Lease>,
    /// Where earlier loads left off.
    pub earlier: Earlier,
    /// The newest sequencer that is known of the object, loaded or claimed.
    newest: Option<String>,
    /// `Last-Modified` of what was read last.
    read_ms: Option<i64>,
    read_etag: Option<String>,
    /// Its sequencer and the request's order the two; without, `Last-Modified` does.
    is_ordered: bool,
}

impl Held {
    /// How the version that was opened stands to another one in the table already, where only the time of
    /// modification says.
    pub fn compare(&self, opened: &ObjectVersion) -> Option<Ordering> {
        if self.is_ordered || opened.etag == self.read_etag {
            return None;
        }
        Some(opened.last_modified_ms?.cmp(&self.read_ms?))
    }

    /// The newest sequencer that is known of the object, loaded or claimed.
    pub fn newest(&self) -> Option<&str> {
        self.newest.as_deref()
    }

    /// `ETag` of what was read last.
    pub fn read_etag(&self) -> Option<&str> {
        self.read_etag.as_deref()
    }
}

impl Ledger {
    /// Claims the object and decides what the request comes to: on PostgreSQL by locking the fence row in the open
    /// transaction, on Hologres by a lease in the claimant's name.
    ///
    /// # Errors
    /// `Transient` when another load is at work; whatever the server says otherwise.
    pub async fn claim(
        &self,
        session: &mut Session,
        request: &Request,
        table: &TableName,
        plan_hash: &str,
        claimant: Claimant<'_>,
    ) -> Result<Claim> {
        if session.dialect().is_hologres() {
            return self.lease(session, request, table, plan_hash, claimant).await;
        }
        let row = self.lock(session, request, table).await?;
        let held = Held {
            newest: row.get("sequencer"),
            read_ms: row.get("last_modified_ms"),
            read_etag: row.get("etag"),
            is_ordered: request.sequencer.is_some() && row.get::<_, bool>("is_sequenced"),
            lease: None,
            earlier: Earlier::Nothing,
        };
        if !request.force
            && let Some(decided) = decide(&row, request)
        {
            return Ok(decided);
        }
        if !request.force
            && !request.is_manual
            && let Some(error) = self.failed_before(session, request, table, plan_hash).await?
        {
            return Ok(Claim::Failed(error));
        }
        let earlier = self.earlier(session, request, table, plan_hash, claimant.owner).await?;
        Ok(Claim::Fresh(Box::new(Held { earlier, ..held })))
    }

    /// Takes the lock again after a part was committed; false when a newer version got there meanwhile.
    ///
    /// # Errors
    /// `Transient` when another load of the same version goes on from here.
    pub async fn reclaim(
        &self,
        session: &mut Session,
        request: &Request,
        table: &TableName,
        owner: &str,
    ) -> Result<bool> {
        let row = self.lock(session, request, table).await?;
        if row.get::<_, Option<&str>>("owner") == Some(owner) {
            return Ok(true);
        }
        let fence: Option<&str> = row.get("sequencer");
        if fence.zip(request.sequencer.as_ref()).is_some_and(|(fence, own)| own.as_str() < fence) {
            return Ok(false);
        }
        Err(lease::busy())
    }

    async fn lock(&self, session: &mut Session, request: &Request, table: &TableName) -> Result<Row> {
        let name = table.to_string();
        let sql = format!(
            "INSERT INTO {} AS held (bucket, object_key, table_name, claimed_at) VALUES ($1, $2, $3, now()) \
             ON CONFLICT (bucket, object_key, table_name) DO UPDATE SET claimed_at = excluded.claimed_at \
             RETURNING sequencer, version_id, etag, last_modified_ms, is_sequenced, owner, loaded_at IS NOT NULL AS is_loaded",
            self.fence.quoted()
        );
        let values: [Parameter<'_>; 3] =
            [(&request.object.bucket, Type::TEXT), (&request.object.key, Type::TEXT), (&name, Type::TEXT)];
        let rows = session.query(&sql, &values, "claim the object").await.map_err(|error| {
            if error.code() == Some("55P03") {
                return error.with_hint("another load of this object is at work; try again when it is done");
            }
            error
        })?;
        rows.into_iter().next().ok_or_else(|| Error::bug("claim the object: the server returned no row"))
    }

    /// The verdict about this version under this plan, if the last word about it was a failure for good: one of
    /// its content, which has no code. What S3 or the server refused (an archived object, a missing parent row) may be put
    /// right without changing object or settings.
    async fn failed_before(
        &self,
        session: &mut Session,
        request: &Request,
        table: &TableName,
        plan_hash: &str,
    ) -> Result<Option<Error>> {
        let Some(version) = request.version.identity() else { return Ok(None) };
        let name = table.to_string();
        let sql = format!(
            "SELECT status, plan_hash, error_code, error_message, hint FROM {} \
             WHERE bucket = $1 AND object_key = $2 AND version = $3 AND table_name = $4 \
             AND (status = 'loaded' OR (status = 'failed' AND error_class = 'Input' \
             AND error_code IS NULL)) \
             ORDER BY attempt DESC LIMIT 1",
            self.ledger.quoted()
        );
        let values = place(request, &version, &name);
        let rows = session.query(&sql, &values, "look up earlier attempts").await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if row.get::<_, String>("status") != Status::Failed.name()
            || row.get::<_, Option<String>>("plan_hash").as_deref() != Some(plan_hash)
        {
            return Ok(None);
        }
        let message = row.get::<_, Option<String>>("error_message").unwrap_or_default();
        let message = message.strip_prefix(REPEATED).unwrap_or(&message);
        let mut error = Error::input(format!("{REPEATED}{message}"));
        if let Some(code) = row.get::<_, Option<String>>("error_code") {
            error = error.with_code(code);
        }
        if let Some(hint) = row.get::<_, Option<String>>("hint") {
            error = error.with_hint(hint);
        }
        Ok(Some(error))
    }

    /// Moves the fence to what was read; the last comparison before COMMIT.
    ///
    /// Answers whether it moved: it does not when a newer sequencer got there first.
    pub async fn raise(
        &self,
        session: &mut Session,
        request: &Request,
        table: &TableName,
        reach: Reach<'_>,
        lease: Option<&Lease>,
    ) -> Result<bool> {
        let Reach { read, is_whole, owner } = reach;
        if let Some(lease) = lease {
            return self.raise_leased(session, request, table, read, lease).await;
        }
        let name = table.to_string();
        let sequencer = request.sequencer.as_ref().map(Sequencer::as_str);
        let is_sequenced = sequencer.is_some();
        let sql = format!(
            "UPDATE {} SET sequencer = greatest(sequencer, $4 COLLATE \"C\"), version_id = coalesce($5, version_id), etag = $6, \
             last_modified_ms = coalesce($7, last_modified_ms), is_sequenced = $8, loaded_at = CASE WHEN $10 THEN now() END, owner = $11 \
             WHERE bucket = $1 AND object_key = $2 AND table_name = $3 \
             AND ($9 OR $4 IS NULL OR sequencer IS NULL OR sequencer <= $4 COLLATE \"C\") RETURNING true",
            self.fence.quoted()
        );
        let values: [Parameter<'_>; 11] = [
            (&request.object.bucket, Type::TEXT),
            (&request.object.key, Type::TEXT),
            (&name, Type::TEXT),
            (&sequencer, Type::TEXT),
            (&read.version_id, Type::TEXT),
            (&read.etag, Type::TEXT),
            (&read.last_modified_ms, Type::INT8),
            (&is_sequenced, Type::BOOL),
            (&request.force, Type::BOOL),
            (&is_whole, Type::BOOL),
            (&owner, Type::TEXT),
        ];
        Ok(!session.query(&sql, &values, "raise the fence").await?.is_empty())
    }

    /// Creates both tables where they are missing.
    ///
    /// # Errors
    /// `Config` with the statements in the hint, when the user may not create them.
    pub async fn create(&self, session: &mut Session) -> Result<()> {
        let statements = statements(self, session.dialect());
        let mut tried = 0;
        while !self.is_there(session).await? {
            tried += 1;
            let Err(error) = session.create(&statements.join(";\n"), "create the ledger").await else {
                return Ok(());
            };
            // Another cold start creates them at this moment: CREATE IF NOT EXISTS is not atomic (its relation, its type or its
            // row in the catalog is there by now), and on Hologres it is also an error that the other one's table has its
            // properties already. What passes by itself, a lock or a lost connection, stays passing trouble.
            let may_pass = matches!(error.code(), Some("23505" | "42P07" | "42710" | "XX000" | "40P01"))
                || error.class() == Class::Transient;
            let is_race = may_pass || session.dialect().is_hologres() && error.code() != Some("42501");
            if !is_race || tried >= CREATE_TRIES_MAX {
                let hint = format!(
                    "run as the table owner: {}; or set `ledger: off` (HOLOLOAD_LEDGER=off) to do without",
                    statements.join("; ")
                );
                // The codes of a race are a row's fault elsewhere; here they pass.
                let class = if may_pass { Class::Transient } else { Class::Config };
                return Err(error.reclassed(class).with_hint(hint));
            }
            tokio::time::sleep(create_pause(tried)).await;
        }
        Ok(())
    }

    async fn is_there(&self, session: &mut Session) -> Result<bool> {
        let sql = "SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL";
        let (ledger, fence) = (self.ledger.quoted(), self.fence.quoted());
        let values: [Parameter<'_>; 2] = [(&ledger, Type::TEXT), (&fence, Type::TEXT)];
        let rows = session.query(sql, &values, "look for the ledger").await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }
}

/// Half of the pause is left to chance, so that those who collided once do not do so again.
fn create_pause(tried: u32) -> Duration {
    let full_ms = (CREATE_PAUSE_MS << tried.min(16)).min(CREATE_PAUSE_MAX_MS);
    // The clock's low digits are random enough to part them.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(full_ms / 2 + u64::from(now.subsec_nanos()) % (full_ms / 2 + 1))
}

/// Compares a request with what the fence remembers.
fn decide(row: &Row, request: &Request) -> Option<Claim> {
    let fence = row.get::<_, Option<String>>("sequencer");
    if let (Some(fence), Some(own)) = (&fence, &request.sequencer)
        && own.as_str() < fence.as_str()
    {
        return Some(Claim::Superseded("a newer version has been loaded".to_owned()));
    }
    if !row.get::<_, bool>("is_loaded") {
        return None;
    }
    let etag: Option<String> = row.get("etag");
    let version_id: Option<String> = row.get("version_id");
    let is_sequenced: bool = row.get("is_sequenced");
    let is_same_content = etag.is_some() && etag == request.version.etag;
    let is_same_version = is_same_content
        && (version_id == request.version.version_id
            || version_id.is_none()
            || request.version.version_id.is_none());
    match (&fence, &request.sequencer) {
        (Some(fence), Some(own)) if own.as_str() == fence.as_str() => {
            if is_same_content || request.version.etag.is_none() || etag.is_none() {
                return Some(Claim::AlreadyLoaded { must_raise: false });
            }
            Some(Claim::Superseded("another version has been loaded since, by request".to_owned()))
        }
        (_, Some(_)) if !is_sequenced && is_same_version => Some(Claim::AlreadyLoaded { must_raise: true }),
        (_, Some(_)) => None,
        (_, None) if is_same_version => Some(Claim::AlreadyLoaded { must_raise: false }),
        // A file's time of change orders nothing: backups and copies keep theirs.
        (_, None) if !request.object.is_s3() => None,
        (_, None) => {
            let read: Option<i64> = row.get("last_modified_ms");
            let is_older = read.zip(request.version.last_modified_ms).is_some_and(|(read, own)| own < read);
            is_older
                .then(|| Claim::Superseded("a version that was modified later has been loaded".to_owned()))
        }
    }
}

/// Bucket, key, version and table: what names a version in the ledger.
fn place<'v>(request: &'v Request, version: &'v &str, table: &'v String) -> [Parameter<'v>; 4] {
    let object = &request.object;
    [(&object.bucket, Type::TEXT), (&object.key, Type::TEXT), (version, Type::TEXT), (table, Type::TEXT)]
}
