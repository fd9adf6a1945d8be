//! Where histories happen: a database of either dialect, S3, and handlers that can be killed and cut off one by one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::history::{Mode, Row};
use crate::http::HttpStub;
use crate::support::postgres;
use crate::support::proxy::CutProxy;
use crate::support::runtime_api::RuntimeApi;
use crate::support::s3::{BucketOptions, S3Server, Stored};
use crate::support::standin::{Options, Profile, Standin};
use crate::support::wait_until;
use crate::world::{BOOTSTRAP, World};

/// Two at work, and a third who comes after them.
pub(crate) const HANDLERS: usize = 3;
/// Statements of a session whose client has gone end within milliseconds.
const REST_TIMEOUT: Duration = Duration::from_secs(20);
/// The function's memory: batches are as small as they get, 1 MiB.
const MEMORY_MIB: &str = "64";
/// Rows of a fixed copy that appear together: small loads can be cut in the middle as well.
const CHUNK_ROWS: usize = 7;

const ROUTES: &str = "routes: [\
    {object: 's3://*/upsert/**', table: orders}, \
    {object: 's3://*/shared/**', table: orders}, \
    {object: 's3://*/newer/**', table: orders, write: {newer_by: seen}}, \
    {object: 's3://*/parts/**', table: orders, write: {atomic: false}}, \
    {object: 's3://*/snapshot/**', table: snapshots, columns: {src_key: $key, src_seq: $sequencer}, \
     write: {mode: snapshot, on_removed: delete}}, \
    {object: 's3://*/changes/**', table: orders, write: {op: Op}}, \
    {object: 's3://*/inserted/**', table: orders, write: {op: Op, path: unnest}}";
/// Rows of snapshots say of which version they are.
const SNAPSHOTS: &str = "CREATE TABLE snapshots (id int8 PRIMARY KEY, name text NOT NULL, amount numeric(12,2), \
                         seen int8, pad text, src_key text, src_seq text)";
const ROUTE_ATOMIC: &str = ", {object: 's3://*/atomic/**', table: orders, write: {atomic: true}}";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    PostgreSql,
    Hologres,
}

/// Of Hologres; a seed chooses one.
const PROFILES: [Profile; 3] = [Profile::V3_1, Profile::V2_2, Profile::V4_1];

pub(crate) const DIALECTS: [Dialect; 2] = [Dialect::PostgreSql, Dialect::Hologres];

/// One handler with a way to the database of its own and, on Hologres, a user of its own: whose session is whose can
/// be told.
pub(crate) struct Handler {
    pub(crate) api: RuntimeApi,
    pub(crate) proxy: CutProxy,
    user: String,
}

pub(crate) struct Place {
    pub(crate) dialect: Dialect,
    profile: Profile,
    pub(crate) world: World,
    pub(crate) standin: Option<Standin>,
    pub(crate) handlers: Vec<Handler>,
    /// Takes what a handler invokes its own function with.
    lambda: HttpStub,
}

impl Place {
    pub(crate) fn new(dialect: Dialect, name: &str) -> Self {
        Self::with(dialect, name, Profile::V3_1)
    }

    fn with(dialect: Dialect, name: &str, profile: Profile) -> Self {
        let (world, standin) = match dialect {
            Dialect::PostgreSql => (World::new(name), None),
            Dialect::Hologres => {
                let (world, standin) = hologres(name, profile);
                (world, Some(standin))
            }
        };
        world.database.run("ALTER TABLE orders ADD seen int8, ADD pad text");
        world.database.run(SNAPSHOTS);
        let versioning = BucketOptions { versioning: true, ..BucketOptions::default() };
        world.s3.create_bucket(&format!("{}-versions", world.bucket), versioning);
        // The ledger is made by the tables' owner, before others use it.
        let config = [("HOLOLOAD_CONFIG", ROUTES.to_owned() + "]"), ("HOLOLOAD_TABLE", String::new())];
        let config = config.each_ref().map(|(name, value)| (*name, value.as_str()));
        let first = world.put("upsert/first.csv", "id,name,amount\n");
        crate::world::report(world.handler_with(&config).invoke_json(&first.event()));
        let lambda = HttpStub::start(|_, _| (202, json!({})));
        let mut place = Self { dialect, profile, world, standin, handlers: Vec::new(), lambda };
        place.handlers = (0..HANDLERS).map(|number| place.handler(number)).collect();
        place
    }

    /// Whether a whole object can be copied over rows that are there: on Hologres, from V3.0.4 on.
    pub(crate) fn has_atomic(&self) -> bool {
        self.dialect == Dialect::Hologres && self.profile != Profile::V2_2
    }

    fn handler(&self, number: usize) -> Handler {
        let database = &self.world.database;
        let proxy = CutProxy::in_front_of(database.port);
        let mut user = database.user.clone();
        let mut environment = self.world.environment();
        let mut set = |name: &str, value: &str| environment.push((name.to_owned(), value.to_owned()));
        if let Some(standin) = &self.standin {
            user = format!("loader_{number}_{}", database.name);
            standin.create_user(&user, "secret");
            set("HOLOLOAD_USER", &user);
            set("HOLOLOAD_PASSWORD", "secret");
        }
        let atomic = if self.standin.is_some() { ROUTE_ATOMIC } else { "" };
        set("HOLOLOAD_CONFIG", &format!("{ROUTES}{atomic}]"));
        set("HOLOLOAD_TABLE", "");
        set("HOLOLOAD_PORT", &proxy.port().to_string());
        set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", MEMORY_MIB);
        set("AWS_ENDPOINT_URL_LAMBDA", &self.lambda.endpoint());
        Handler { api: RuntimeApi::start(BOOTSTRAP, environment), proxy, user }
    }

    pub(crate) fn bucket(&self, is_versioned: bool) -> String {
        let bucket = &self.world.bucket;
        if is_versioned { format!("{bucket}-versions") } else { bucket.clone() }
    }

    fn sessions(&self, condition: &str) -> usize {
        let sql = format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND usename <> 'postgres' AND ({condition})",
            self.world.database.name
        );
        self.world.database.query(&sql).len()
    }

    /// No session is inside a transaction or at work.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.is_at_rest_within(REST_TIMEOUT)
    }

    pub(crate) fn is_at_rest_within(&self, timeout: Duration) -> bool {
        wait_until(timeout, || self.sessions("state <> 'idle' OR state IS NULL") == 0)
    }

    /// What a handler that was killed, or cut off, has left running comes to its end; then time passes until its lease
    /// is over. The lease of another one at work, and a claim that was raised over it, stay.
    ///
    /// Whose lease it is: a claim is raised first and leased then, so that a lease that ends within a minute of the claim
    /// is that of whoever was at work before.
    pub(crate) fn outlive(&self, slot: usize, pid: u32, key: &str) {
        if self.dialect == Dialect::PostgreSql {
            return;
        }
        let user = &self.handlers[slot].user;
        let condition = format!("usename = '{user}' AND (state <> 'idle' OR state IS NULL)");
        assert!(wait_until(REST_TIMEOUT, || self.sessions(&condition) == 0), "{user} is still at work");
        let own = format!("-{pid}-[0-9a-f]+$");
        self.world.database.query(&format!(
            "UPDATE holoload_fence SET lease_until = clock_timestamp() - interval '1 s', \
             claimed_at = CASE WHEN owner ~ '{own}' THEN claimed_at - interval '1 min' ELSE claimed_at END \
             WHERE object_key = '{key}' \
             AND (owner ~ '{own}') = coalesce(lease_until >= claimed_at + interval '60 s', true)"
        ));
    }

    /// A minute passes in which nobody is at work: every lease and every young claim is over.
    pub(crate) fn minute(&self) {
        if self.dialect == Dialect::PostgreSql {
            return;
        }
        assert!(self.is_at_rest(), "a session is left");
        self.world.database.query(
            "UPDATE holoload_fence SET lease_until = clock_timestamp() - interval '1 s', \
             claimed_at = claimed_at - interval '1 min' WHERE lease_until IS NOT NULL OR claimed_at IS NOT NULL",
        );
    }

    /// What the function was last invoked with to go on with this version.
    pub(crate) fn handed_on(&self, stored: &Stored) -> Option<Value> {
        let mut calls = self.lambda.calls().into_iter().map(|(_, payload)| payload);
        let is_of = |payload: &Value| {
            let said = &payload["continue"];
            said["s3"] == stored.address() && said["sequencer"] == stored.sequencer.trim_end_matches('0')
        };
        calls.rfind(is_of)
    }

    /// The table as it is.
    pub(crate) fn rows(&self, mode: Mode) -> Vec<Row> {
        let table = if mode == Mode::Snapshot { "snapshots" } else { "orders" };
        let sql = format!(
            "SELECT id, name, (amount * 100)::int8, coalesce(seen, 0), length(coalesce(pad, '')) / length(name || '.'), \
                   coalesce(pad = repeat(name || '.', length(pad) / length(name || '.')), true) FROM {table} ORDER BY id"
        );
        let rows = self.world.database.query(&sql);
        rows.into_iter()
            .map(|row| {
                let text = |at: usize| row[at].as_deref().expect("not NULL");
                let is_whole = text(5) == "t";
                Row {
                    id: text(0).parse().expect("an id"),
                    name: text(1).to_owned(),
                    cents: text(2).parse().expect("an amount"),
                    seen: text(3).parse().expect("a number"),
                    // A long column that is not what its row says is nobody's.
                    pad: if is_whole { text(4).parse().expect("a length") } else { usize::MAX },
                    is_deletion: false,
                }
            })
            .collect()
    }

    /// The ledger of objects whose keys begin so, oldest first.
    pub(crate) fn lines(&self, prefix: &str) -> Vec<Line> {
        let sql = format!(
            "SELECT object_key, sequencer, status, reason, error_message, error_class FROM holoload_ledger \
             WHERE left(object_key, length('{prefix}')) = '{prefix}' ORDER BY finished_at, attempt"
        );
        let rows = self.world.database.query(&sql);
        rows.into_iter()
            .map(|row| {
                let [key, sequencer, status, reason, error, class] = row.try_into().expect("six columns");
                let text = |value: Option<String>| value.unwrap_or_default();
                Line {
                    key: text(key),
                    sequencer: text(sequencer),
                    status: text(status),
                    has_reason: reason.is_some(),
                    has_error: error.is_some(),
                    class: text(class),
                }
            })
            .collect()
    }

    /// The tables are empty again.
    pub(crate) fn clear(&self) {
        self.world.database.query("TRUNCATE orders, snapshots");
    }

    pub(crate) fn s3(&self) -> &S3Server {
        &self.world.s3
    }
}

/// A place for each version of Hologres, made when it is needed.
pub(crate) struct Places {
    dialect: Dialect,
    name: String,
    made: [Option<Place>; PROFILES.len()],
}

impl Places {
    pub(crate) fn new(dialect: Dialect, name: &str) -> Self {
        Self { dialect, name: name.to_owned(), made: Default::default() }
    }

    /// Where the history of this seed happens, here and when it is replayed.
    pub(crate) fn of(&mut self, seed: u64) -> &Place {
        let profiles = if self.dialect == Dialect::Hologres { PROFILES.len() as u64 } else { 1 };
        let chosen = usize::try_from(seed / 3 % profiles).expect("few");
        let name = format!("{}_{chosen}", self.name);
        self.made[chosen].get_or_insert_with(|| Place::with(self.dialect, &name, PROFILES[chosen]))
    }
}

/// One line of the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) key: String,
    pub(crate) sequencer: String,
    pub(crate) status: String,
    pub(crate) has_reason: bool,
    pub(crate) has_error: bool,
    pub(crate) class: String,
}

fn hologres(name: &str, profile: Profile) -> (World, Standin) {
    let database = postgres::shared_hologres().database(name);
    let options = Options { profile, fixed_copy_chunk_rows: CHUNK_ROWS, ..Options::default() };
    let standin = Standin::start(&database, options);
    let database = standin.database();
    database.run("CREATE TABLE orders (id int8 PRIMARY KEY, name text NOT NULL, amount numeric(12,2))");
    let bucket = format!("{}-hologres", name.replace('_', "-"));
    let s3 = S3Server::start();
    s3.create_bucket(&bucket, BucketOptions::default());
    (World { database, s3, bucket }, standin)
}
