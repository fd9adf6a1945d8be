//! The claim where rows have no transactions: Hologres.
//!
//! A claim is one text that only grows, `sequencer!attempt`, raised by an upsert that carries its own condition and
//! read back: counts of affected rows may be off, and RETURNING needs V3.2. Whoever finds its own claim in the row
//! has it. Beside it stands a lease, at most 60 s of the server's clock, renewed after each batch that is durable, and
//! between the statements of a long one: while it lasts nobody else writes rows of this object, also not a newer
//! version whose claim is higher already; it waits. A worker that has died blocks nobody for longer.
//!
//! Every statement has the shape of a Fixed Plan (Hologres help, "Accelerate SQL execution with Fixed Plan"): values
//! bound one by one, `c = excluded.c`, a condition on one column.

use std::time::{Duration, Instant, SystemTime};

use super::{Claim, Claimant, Held, Ledger, decide};
use crate::database::{Parameter, Row, Session, Type};
use crate::error::{Error, Result};
use crate::object::{ObjectVersion, Request, Sequencer};
use crate::table::TableName;

/// How long a claim holds without being renewed.
const LEASE_MS: u64 = 60_000;
/// What is left of a lease when a statement begins under it must outlast the statement and the error of the clocks.
pub const LEASED_STATEMENT_MS: u64 = 45_000;
/// A lease older than this is renewed before the next statement.
const RENEW_AFTER_MS: u64 = 10_000;
/// A claim this young counts as leased: its lease is on its way.
const YOUNG_CLAIM_MS: u64 = 5_000;
/// Between two looks at a claim that another load holds.
const LOOK_PAUSE_MS: u64 = 250;
/// Tries to raise a claim that others keep raising.
const RAISE_TRIES_MAX: u32 = 8;
/// Sequencers are filled up to this many digits, so that claims compare the same under every collation.
const SEQUENCER_DIGITS: usize = 64;

/// A claim that was read back as our own.
#[derive(Clone, Debug)]
pub struct Lease {
    claim: String,
    renewed_at: Instant,
    /// When it ends, by the server's clock.
    until: SystemTime,
    /// The newest sequencer that was loaded before: it never goes back, whatever is loaded by force.
    loaded: Option<String>,
}

/// The fence row, named.
struct Place<'a> {
    ledger: &'a Ledger,
    bucket: &'a str,
    key: &'a str,
    table: String,
}

impl Ledger {
    /// Claims the object or says why not; waits only so long for another load of the same version.
    pub(super) async fn lease(
        &self,
        session: &mut Session,
        request: &Request,
        table: &TableName,
        plan_hash: &str,
        claimant: Claimant<'_>,
    ) -> Result<Claim> {
        let Claimant { owner, has_lease, asked_until, wait } = claimant;
        let place = Place::new(self, request, table);
        let own = padded(request.sequencer.as_ref().map_or("", Sequencer::as_str));
        let give_up_at = Instant::now() + wait;
        let mut tried = 0;
        while tried < RAISE_TRIES_MAX {
            let row = place.look(session).await?;
            let mut must_raise = false;
            if let Some(row) = row.as_ref().filter(|_| !request.force) {
                match decide(row, request) {
                    Some(Claim::AlreadyLoaded { must_raise: true }) => must_raise = true,
                    Some(decided) => return Ok(decided),
                    None => {}
                }
                if request.sequencer.is_some() && claimed(row).0 > own {
                    return Ok(Claim::Superseded("a newer version is being loaded".to_owned()));
                }
            }
            if !request.force
                && !request.is_manual
                && let Some(error) = self.failed_before(session, request, table, plan_hash).await?
            {
                return Ok(Claim::Failed(error));
            }
            let (sequencer, attempt) = row.as_ref().map(claimed).unwrap_or_default();
            // Another load of the same version; a newer one need not wait before it raises the claim.
            if let Some(row) = &row
                && (own <= sequencer)
                && is_leased(row, session, owner)
            {
                if Instant::now() >= give_up_at {
                    return Err(busy());
                }
                tokio::time::sleep(Duration::from_millis(LOOK_PAUSE_MS)).await;
                continue;
            }
            tried += 1;
            let claim = format!("{}!{:010}", own.clone().max(sequencer), attempt + 1);
            let found = place.raise(session, &claim, owner).await?;
            if found.get::<_, Option<&str>>("claim") != Some(claim.as_str()) || !is_owned(&found, owner) {
                continue;
            }
            // A lease of an attempt of our own ended with it. A claim of ours says nothing of whose the lease is: that
            // attempt may have ended while it still waited for an older load.
            let is_own = |row: &Row| is_owned(row, owner) && (has_lease || is_asked(row, *asked_until));
            if !row.as_ref().is_some_and(is_own) && !place.wait_for_lease(session, &claim, &found).await? {
                continue;
            }
            let renewed_at = Instant::now();
            *asked_until = Some(session.server_now() + Duration::from_millis(LEASE_MS));
            let Some(until) = place.renew_until(session, &claim, *asked_until).await? else { continue };
            let lease = Lease { claim, renewed_at, until, loaded: found.get("sequencer") };
            let claimed = claimed(&found).0.trim_end_matches('0').to_owned();
            let newest = Some(claimed).filter(|claimed| !claimed.is_empty()).max(lease.loaded.clone());
            if must_raise {
                self.raise_leased(session, request, table, &request.version, &lease).await?;
                return Ok(Claim::AlreadyLoaded { must_raise: false });
            }
            let earlier = self.earlier(session, request, table, plan_hash, owner).await?;
            return Ok(Claim::Fresh(Box::new(Held {
                earlier,
                newest,
                read_ms: found.get("last_modified_ms"),
                read_etag: found.get("etag"),
                is_ordered: request.sequencer.is_some() && found.get::<_, bool>("is_sequenced"),
                lease: Some(lease),
            })));
        }
        Err(busy())
    }

    /// Prolongs the lease and looks whether the claim still stands; false when another load has raised it, which then
    /// need not wait for the lease to run out.
    pub async fn keep(
        &self,
        session: &mut Session,
        request: &Request,
        table: &TableName,
        lease: &mut Lease,
    ) -> Result<bool> {
        let place = Place::new(self, request, table);
        let renewed_at = Instant::now();
        if let Some(until) = place.renew(session, &lease.claim).await? {
            lease.renewed_at = renewed_at;
            lease.until = until;
            return Ok(true);
        }
        place.make_way(session, lease).await?;
        Ok(false)
    }

    /// Gives the object free for the next load, without anything being loaded.
    pub async fn release(
        &self,
        session: &mut Session,
        request: &Request,
        table: &TableName,
        lease: &Lease,
    ) -> Result<()> {
        let none: Option<SystemTime> = None;
        let values: [Parameter<'_>; 2] = [(&none, Type::TIMESTAMPTZ), (&none, Type::TIMESTAMPTZ)];
        let place = Place::new(self, request, table);
        let columns = ["lease_until", "claimed_at"];
        let is_ours = place.change(session, &lease.claim, &columns, &values, "release the claim").await?;
        if !is_ours {
            // Raised by another load since, which still waits for the lease.
            place.make_way(session, lease).await?;
        }
        Ok(())
    }

    /// The fence learns what was read, and the lease ends; false when another load has raised the claim.
    pub(super) async fn raise_leased(
        &self,
        session: &mut Session,
        request: &Request,
        table: &TableName,
        read: &ObjectVersion,
        lease: &Lease,
    ) -> Result<bool> {
        let place = Place::new(self, request, table);
        let own = request.sequencer.as_ref().map(Sequencer::as_str);
        let is_sequenced = own.is_some();
        let sequencer = own.max(lease.loaded.as_deref());
        let now = session.server_now();
        let none: Option<SystemTime> = None;
        let mut columns = vec!["etag", "is_sequenced", "lease_until", "claimed_at", "loaded_at"];
        let mut values: Vec<Parameter<'_>> = vec![
            (&read.etag, Type::TEXT),
            (&is_sequenced, Type::BOOL),
            (&none, Type::TIMESTAMPTZ),
            (&none, Type::TIMESTAMPTZ),
            (&now, Type::TIMESTAMPTZ),
        ];
        // What is not known now stays as it was.
        let known: [(&'static str, bool, Parameter<'_>); 3] = [
            ("sequencer", sequencer.is_some(), (&sequencer, Type::TEXT)),
            ("version_id", read.version_id.is_some(), (&read.version_id, Type::TEXT)),
            ("last_modified_ms", read.last_modified_ms.is_some(), (&read.last_modified_ms, Type::INT8)),
        ];
        for (column, is_known, value) in known {
            if is_known {
                columns.push(column);
                values.push(value);
            }
        }
        let is_raised = place.change(session, &lease.claim, &columns, &values, "raise the fence").await?;
        if !is_raised {
            place.make_way(session, lease).await?;
        }
        Ok(is_raised)
    }
}

impl Lease {
    /// Whether it must be renewed before anything else is written under it.
    pub fn is_old(&self) -> bool {
        Instant::now() >= self.renew_at()
    }

    /// When that will be.
    pub fn renew_at(&self) -> Instant {
        self.renewed_at + Duration::from_millis(RENEW_AFTER_MS)
    }

    /// Whether a time in the row is the end of this lease.
    fn ends_at(&self, until: SystemTime) -> bool {
        is_same(until, self.until)
    }
}

impl<'a> Place<'a> {
    fn new(ledger: &'a Ledger, request: &'a Request, table: &TableName) -> Self {
        Self { ledger, bucket: &request.object.bucket, key: &request.object.key, table: table.to_string() }
    }

    fn look_sql(&self) -> String {
        format!(
            "SELECT sequencer, version_id, etag, last_modified_ms, is_sequenced, loaded_at IS NOT NULL AS is_loaded, \
             claim, owner, claimed_at, lease_until FROM {} WHERE bucket = $1 AND object_key = $2 AND table_name = $3",
            self.ledger.fence.quoted()
        )
    }

    fn named(&self) -> [Parameter<'_>; 3] {
        [(&self.bucket, Type::TEXT), (&self.key, Type::TEXT), (&self.table, Type::TEXT)]
    }

    async fn look(&self, session: &mut Session) -> Result<Option<Row>> {
        let rows = session.query(&self.look_sql(), &self.named(), "look at the fence").await?;
        Ok(rows.into_iter().next())
    }

    /// Raises the claim, unless it is as high already, and answers the row as it is then. The lease stays: it is that of
    /// whoever may still be writing.
    async fn raise(&self, session: &mut Session, claim: &str, owner: &str) -> Result<Row> {
        let sql = format!(
            "INSERT INTO {} AS held (bucket, object_key, table_name, is_sequenced, claim, owner, claimed_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (bucket, object_key, table_name) \
             DO UPDATE SET claim = excluded.claim, owner = excluded.owner, claimed_at = excluded.claimed_at \
             WHERE held.claim < excluded.claim",
            self.ledger.fence.quoted()
        );
        let now = session.server_now();
        let [bucket, key, table] = self.named();
        let values: [Parameter<'_>; 7] = [
            bucket,
            key,
            table,
            (&false, Type::BOOL),
            (&claim, Type::TEXT),
            (&owner, Type::TEXT),
            (&now, Type::TIMESTAMPTZ),
        ];
        let look = self.look_sql();
        let rows = session.query_after((&sql, &values), (&look, &self.named()), "claim the object").await?;
        rows.into_iter().next().ok_or_else(|| Error::transient("claim the object: the claim is not there"))
    }

    /// Waits until the lease that was found has ended: its holder cannot prolong it any more, and gives it up as soon as
    /// it sees that. False when yet another load has raised the claim meanwhile.
    async fn wait_for_lease(&self, session: &mut Session, claim: &str, found: &Row) -> Result<bool> {
        let mut until: Option<SystemTime> = found.get("lease_until");
        // A lease never lasts longer, so neither does this.
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(LEASE_MS) {
            let left = until.and_then(|until| until.duration_since(session.server_now()).ok());
            let Some(left) = left else {
                let waited_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::debug!(key = self.key, waited_ms, "older load ended");
                return Ok(true);
            };
            tokio::time::sleep(left.min(Duration::from_millis(LOOK_PAUSE_MS))).await;
            let Some(row) = self.look(session).await? else { return Ok(false) };
            if row.get::<_, Option<&str>>("claim") != Some(claim) {
                return Ok(false);
            }
            until = row.get("lease_until");
        }
        Ok(true)
    }

    /// Gives up a lease under a claim that was raised: whoever raised it waits for this. Once the lease has run out, or
    /// was given up before, the one that stands is theirs, and not ours to end.
    async fn make_way(&self, session: &mut Session, lease: &Lease) -> Result<()> {
        let is_running = lease.renewed_at.elapsed() < Duration::from_millis(LEASED_STATEMENT_MS);
        let is_ours =
            |row: &Row| row.get::<_, Option<SystemTime>>("lease_until").is_some_and(|at| lease.ends_at(at));
        let row = self.look(session).await?.filter(|row| is_running && is_ours(row));
        let Some(row) = row else { return Ok(()) };
        let Some(claim) = row.get::<_, Option<String>>("claim") else { return Ok(()) };
        self.lease_until(session, &claim, None).await.map(drop)
    }

    /// Answers until when, as long as the claim stands.
    async fn renew(&self, session: &mut Session, claim: &str) -> Result<Option<SystemTime>> {
        let until = session.server_now() + Duration::from_millis(LEASE_MS);
        self.renew_until(session, claim, Some(until)).await
    }

    async fn renew_until(
        &self,
        session: &mut Session,
        claim: &str,
        until: Option<SystemTime>,
    ) -> Result<Option<SystemTime>> {
        let is_renewed = self.lease_until(session, claim, until).await?;
        Ok(until.filter(|_| is_renewed))
    }

    async fn lease_until(
        &self,
        session: &mut Session,
        claim: &str,
        until: Option<SystemTime>,
    ) -> Result<bool> {
        let values: [Parameter<'_>; 1] = [(&until, Type::TIMESTAMPTZ)];
        self.change(session, claim, &["lease_until"], &values, "renew the claim").await
    }

    /// Sets columns of the row as long as the claim is the given one; answers whether it is.
    async fn change(
        &self,
        session: &mut Session,
        claim: &str,
        columns: &[&str],
        values: &[Parameter<'_>],
        action: &str,
    ) -> Result<bool> {
        // The row is there; what an insert would say of the rest serves the columns that may not be NULL.
        let is_sequenced_set = columns.contains(&"is_sequenced");
        let mut names = vec!["bucket", "object_key", "table_name", "claim"];
        let mut all: Vec<Parameter<'_>> = self.named().into_iter().collect();
        all.push((&claim, Type::TEXT));
        if !is_sequenced_set {
            names.push("is_sequenced");
            all.push((&false, Type::BOOL));
        }
        names.extend(columns);
        all.extend(values.iter().map(|(value, one)| (*value, one.clone())));
        let places: Vec<String> = (1..=names.len()).map(|at| format!("${at}")).collect();
        let set: Vec<String> = columns.iter().map(|column| format!("{column} = excluded.{column}")).collect();
        let sql = format!(
            "INSERT INTO {} AS held ({}) VALUES ({}) ON CONFLICT (bucket, object_key, table_name) \
             DO UPDATE SET {} WHERE held.claim = excluded.claim",
            self.ledger.fence.quoted(),
            names.join(", "),
            places.join(", "),
            set.join(", ")
        );
        let look = self.look_sql();
        let rows = session.query_after((&sql, &all), (&look, &self.named()), action).await?;
        let found = rows.first().and_then(|row| row.get::<_, Option<String>>("claim"));
        Ok(found.as_deref() == Some(claim))
    }
}

/// Sequencer and attempt of the row's claim.
fn claimed(row: &Row) -> (String, u64) {
    let claim: Option<String> = row.get("claim");
    let parts = claim.as_deref().and_then(|claim| claim.split_once('!'));
    parts.map_or_else(Default::default, |(sequencer, attempt)| {
        (sequencer.to_owned(), attempt.parse().unwrap_or(0))
    })
}

/// Whether somebody else is at work under the claim that stands.
fn is_leased(row: &Row, session: &Session, owner: &str) -> bool {
    let now = session.server_now();
    let until: Option<SystemTime> = row.get("lease_until");
    let claimed_at: Option<SystemTime> = row.get("claimed_at");
    let is_young = claimed_at.is_some_and(|at| at + Duration::from_millis(YOUNG_CLAIM_MS) > now);
    !is_owned(row, owner) && (is_young || until.is_some_and(|until| until > now))
}

/// Whether the lease of the row is one that was asked for.
fn is_asked(row: &Row, asked_until: Option<SystemTime>) -> bool {
    let until: Option<SystemTime> = row.get("lease_until");
    until.zip(asked_until).is_some_and(|(until, asked)| is_same(until, asked))
}

/// Hologres keeps milliseconds.
fn is_same(one: SystemTime, other: SystemTime) -> bool {
    let apart = one.duration_since(other).or_else(|_| other.duration_since(one));
    apart.is_ok_and(|apart| apart <= Duration::from_millis(1))
}

fn is_owned(row: &Row, owner: &str) -> bool {
    row.get::<_, Option<&str>>("owner") == Some(owner)
}

/// Zeros at the end mean nothing in a sequencer.
fn padded(sequencer: &str) -> String {
    format!("{sequencer:0<SEQUENCER_DIGITS$}")
}

pub(super) fn busy() -> Error {
    Error::transient("claim the object: another load of it is at work")
        .with_code("Busy")
        // It was waited for: whoever delivers the object has more time than we have.
        .with_retries(0, 0)
        .with_hint("try again when it is done; a load that was killed frees its object after 60 s")
}
