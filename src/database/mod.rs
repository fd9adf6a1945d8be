//! The connection: who we talk to, what is prepared and known, how it ends.
//!
//! A [`Session`] is one connection with what was learnt over it. It is reused warm until it saw an error,
//! idled too long or grew old; it never outlives an invocation inside a transaction: whoever holds it either
//! commits, or [closes](Session::close) it and waits until it is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::task::JoinHandle;
use tokio_postgres::config::{Config, SslMode};
use tokio_postgres::{CancelToken, Client, NoTls, SimpleQueryMessage};

use crate::error::{Error, Result};
use crate::settings::{LoginMode, Secret, TlsMode};
use crate::table::{Table, TableName};

mod acl;
mod catalog;
mod copy;
mod dialect;
mod execute;
mod login;
mod lookup;
mod peer;
mod policy;
mod statement;
mod tls;

pub use acl::Acl;
pub use copy::{COPY_CHUNK_BYTES, CopyIn};
pub use dialect::{Dialect, Version};
pub use lookup::WireRow;
pub use peer::{Certificate, Peer, peer};
pub use policy::{Failure, Kind as FailureKind};
pub use statement::{ArrayType, Arrays, Counts, Fields, Tally};

/// A row of a ledger query.
pub type Row = tokio_postgres::Row;
/// A bound value of a ledger query with its type.
pub type Parameter<'a> = (&'a (dyn tokio_postgres::types::ToSql + Sync), Type);
/// What a simple query came to.
type Answer = std::result::Result<Vec<SimpleQueryMessage>, tokio_postgres::Error>;
/// Types of bound values.
pub use tokio_postgres::types::Type;

/// TCP and TLS and login together; a Hologres gateway answers in well under a second.
const CONNECT_TIMEOUT_MS: u64 = 10_000;
/// Probes an idle peer before NAT gateways forget the flow (AWS NAT: 350 s).
const KEEPALIVE_IDLE_MS: u64 = 120_000;
/// How long sent data may stay unacknowledged before the connection counts as lost.
const UNACKNOWLEDGED_MAX_MS: u64 = 30_000;
/// A connection that idled longer is not trusted (NAT gateways and servers drop silently).
const IDLE_MAX_MS: u64 = 300_000;
/// The vendor's client gives connections one hour (holo-client, `connectionMaxAliveMs`); stay below.
const AGE_MAX_MS: u64 = 50 * 60_000;
const VERSION_SQL: &str = "SELECT hg_version()";
const HAS_VERSION_SQL: &str = "SELECT 1 FROM pg_catalog.pg_proc WHERE proname = 'hg_version' LIMIT 1";
/// How long the cancelling of a statement, and then the goodbye, may take.
pub const CLOSE_TIMEOUT_MS: u64 = 1_000;

/// Whom to talk to and as whom.
#[derive(Clone, Debug)]
pub struct Server {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: Option<Secret>,
    /// How user and password are shown.
    pub login: LoginMode,
    /// The instance's region, where the host name does not tell it.
    pub region: Option<String>,
    /// Protection of the connection.
    pub tls: TlsMode,
    /// The only CA to trust, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// The session's time zone.
    pub timezone: String,
}

impl Server {
    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// One connection and what is known over it.
pub struct Session {
    client: Client,
    connection: JoinHandle<()>,
    tables: HashMap<TableName, Arc<Table>>,
    statements: HashMap<String, tokio_postgres::Statement>,
    version_num: u32,
    dialect: Dialect,
    clock: Option<(SystemTime, Instant)>,
    certificate_not_after_ms: Option<i64>,
    opened_at: SystemTime,
    used_at: SystemTime,
    is_in_transaction: bool,
    /// Rows are on their way, and nothing has answered yet.
    is_writing: bool,
    is_spoiled: bool,
}

impl Session {
    /// Connects, logs in and sets what every load relies on.
    ///
    /// # Errors
    /// `Transient` when nobody answers, `Access` for certificates and logins, `Config` for a CA that is none.
    pub async fn open(server: &Server) -> Result<Self> {
        let shown = login::credentials(server, SystemTime::now())?;
        let mut config = Config::new();
        config
            .host(&server.host)
            .port(server.port)
            .dbname(&server.database)
            .user(&shown.user)
            .application_name("holoload")
            .connect_timeout(Duration::from_millis(CONNECT_TIMEOUT_MS))
            .keepalives(true)
            .keepalives_idle(Duration::from_millis(KEEPALIVE_IDLE_MS))
            .tcp_user_timeout(Duration::from_millis(UNACKNOWLEDGED_MAX_MS));
        if let Some(password) = &shown.password {
            config.password(password.reveal());
        }
        let connected = Self::connect(server, &config).await;
        let mut session = connected.map_err(|error| login::explained(server, error))?;
        session.prepare_session(server).await?;
        Ok(session)
    }

    async fn connect(server: &Server, config: &Config) -> Result<Self> {
        let mut config = config.clone();
        let refused = |source| policy::connect_failure(&server.address(), source);
        // The library bounds the TCP connect alone; the handshake and the login are bounded here.
        let limit = Duration::from_millis(CONNECT_TIMEOUT_MS);
        let late = |_| {
            Error::transient(format!(
                "connect to {}: no answer within {CONNECT_TIMEOUT_MS} ms",
                server.address()
            ))
            .with_hint("check host and port: is it the database that listens there?")
        };
        if server.tls == TlsMode::InsecurePlaintext {
            config.ssl_mode(SslMode::Disable);
            let connecting = tokio::time::timeout(limit, config.connect(NoTls));
            let (client, connection) = connecting.await.map_err(late)?.map_err(refused)?;
            let version = connection.parameter("server_version").map(version_num);
            Ok(Self::new(client, tokio::spawn(run(connection)), version, None))
        } else {
            config.ssl_mode(SslMode::Require);
            let connector = tls::Connector::new(tls::connector(server.tls, server.ca_pem.as_deref())?);
            let connecting = tokio::time::timeout(limit, config.connect(connector.clone()));
            let (client, connection) = connecting.await.map_err(late)?.map_err(refused)?;
            let version = connection.parameter("server_version").map(version_num);
            Ok(Self::new(client, tokio::spawn(run(connection)), version, connector.peer_not_after_ms()))
        }
    }

    fn new(
        client: Client,
        connection: JoinHandle<()>,
        version: Option<u32>,
        not_after_ms: Option<i64>,
    ) -> Self {
        let now = SystemTime::now();
        Self {
            client,
            connection,
            tables: HashMap::new(),
            statements: HashMap::new(),
            version_num: version.unwrap_or(0),
            dialect: Dialect::PostgreSql,
            clock: None,
            certificate_not_after_ms: not_after_ms,
            opened_at: now,
            used_at: now,
            is_in_transaction: false,
            is_writing: false,
            is_spoiled: false,
        }
    }

    /// Settings and the question what server this is travel together, in one round trip.
    async fn prepare_session(&mut self, server: &Server) -> Result<()> {
        const ACTION: &str = "set up the session";
        let failed = |source| policy::failure_beside_rows(ACTION, source);
        // SET takes no bound values; the zone's name was checked against the time-zone database.
        let zone = format!("SET timezone TO '{}'", server.timezone.replace('\'', "''"));
        // Floats are compared as text when a row is checked for changes: as much of it as tells them apart.
        let settings = format!("{zone}; SET extra_float_digits = 3");
        // To PostgreSQL a call of what it does not have is an error in its log: only Hologres's own hosts are asked
        // right away.
        let is_hologres_host = Dialect::of_host(&server.host).is_hologres();
        let question = if is_hologres_host { VERSION_SQL } else { HAS_VERSION_SQL };
        let (set, answer) = tokio::join!(
            biased;
            self.client.batch_execute(&settings),
            self.client.simple_query(question),
        );
        if set.is_err_and(|source| source.as_db_error().is_some()) {
            // One statement that is not known there must not take the others with it.
            self.client.batch_execute(&zone).await.map_err(failed)?;
        }
        let is_hologres = is_hologres_host || matches!(&answer, Ok(rows) if first_value(rows).is_some());
        if is_hologres {
            let called = if is_hologres_host { Some(answer) } else { None };
            self.prepare_hologres(called).await?;
        } else {
            answer.map_err(failed)?;
        }
        self.used_at = SystemTime::now();
        Ok(())
    }

    /// Learns the version, from `hg_version()` or, as the vendor's client does, from `version()`.
    async fn prepare_hologres(&mut self, called: Option<Answer>) -> Result<()> {
        let failed = |source| policy::failure_beside_rows("ask for Hologres's version", source);
        let called = match called {
            Some(answer) => answer,
            None => self.client.simple_query(VERSION_SQL).await,
        };
        let version = match version_of(called).map_err(failed)? {
            Some(version) => Some(version),
            None => version_of(self.client.simple_query("SELECT version()").await).map_err(failed)?,
        };
        let version = version.ok_or_else(|| {
            Error::config("ask for Hologres's version: the answer names none").with_hint(
                "is the host a Hologres instance? `SELECT hg_version()` should answer `Hologres 3.1.17 (…)`",
            )
        })?;
        self.dialect = Dialect::Hologres(version);
        // Counts of affected rows cost it time; holo-client leaves them out as well, and like there a server that does not
        // know the setting may say so.
        self.try_setting("SET hg_experimental_enable_fixed_dispatcher_affected_rows = off").await?;
        self.read_clock(None).await
    }

    /// Learns what the server's clock shows; a statement may go before it in the same round trip.
    async fn read_clock(&mut self, first: Option<&str>) -> Result<()> {
        let before = async {
            match first {
                Some(sql) => self.client.batch_execute(sql).await,
                None => Ok(()),
            }
        };
        let (done, now) = tokio::join!(biased; before, self.client.query_typed("SELECT now()", &[]));
        self.used_at = SystemTime::now();
        let rows = done.and(now).map_err(|source| policy::failure_beside_rows("read the clock", source));
        let rows = self.spoiling(rows)?;
        let now = rows.first().and_then(|row| row.try_get::<_, SystemTime>(0).ok());
        self.clock = now.map(|now| (now, Instant::now()));
        Ok(())
    }

    /// Whether the session may serve another load.
    pub fn is_reusable(&self) -> bool {
        let younger_than = |since: SystemTime, limit_ms: u64| {
            // A clock that went backwards counts as too old.
            since.elapsed().is_ok_and(|age| age < Duration::from_millis(limit_ms))
        };
        self.is_at_rest()
            && !self.client.is_closed()
            && younger_than(self.used_at, IDLE_MAX_MS)
            && younger_than(self.opened_at, AGE_MAX_MS)
    }

    /// Whether nothing of a load is left in it: no transaction, no rows on their way, no error.
    pub fn is_at_rest(&self) -> bool {
        !self.is_spoiled && !self.is_in_transaction && !self.is_writing
    }

    /// The server's version as `major * 10000 + minor`, 0 when it did not say.
    pub fn server_version_num(&self) -> u32 {
        self.version_num
    }

    /// What server this is.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What the server's clock shows now, or a little less: by the time the answer took.
    pub fn server_now(&self) -> SystemTime {
        self.clock.map_or_else(SystemTime::now, |(then, at)| then + at.elapsed())
    }

    /// When the server's certificate ends, milliseconds since 1970.
    pub fn certificate_not_after_ms(&self) -> Option<i64> {
        self.certificate_not_after_ms
    }

    /// Whether a transaction is open.
    pub fn is_in_transaction(&self) -> bool {
        self.is_in_transaction
    }

    /// The table's definition, read once for each session.
    pub async fn table(&mut self, name: &TableName) -> Result<Arc<Table>> {
        if let Some(table) = self.tables.get(name) {
            return Ok(Arc::clone(table));
        }
        let table = catalog::table(self, name).await;
        let table = Arc::new(self.spoiling(table)?);
        self.tables.insert(name.clone(), Arc::clone(&table));
        Ok(table)
    }

    /// Runs statements that take no values and answer nothing.
    pub async fn run(&mut self, sql: &str, action: &str) -> Result<()> {
        let done = self.client.batch_execute(sql).await;
        let done = done.map_err(|source| policy::failure_beside_rows(action, source));
        self.used_at = SystemTime::now();
        self.spoiling(done)
    }

    /// Creates something that others may be creating at the same time: a refusal does not spoil the session, nor
    /// does a transaction in `sql` outlive it.
    pub async fn create(&mut self, sql: &str, action: &str) -> Result<()> {
        let Err(source) = self.client.batch_execute(sql).await else { return Ok(()) };
        let rolled_back = self.client.batch_execute("ROLLBACK").await;
        self.spoiling(rolled_back.map_err(|source| policy::failure_beside_rows("roll back", source)))?;
        Err(policy::failure(action, source).error)
    }

    /// Runs two statements in one round trip, the second's rows are the answer.
    pub async fn query_after(
        &mut self,
        first: (&str, &[Parameter<'_>]),
        second: (&str, &[Parameter<'_>]),
        action: &str,
    ) -> Result<Vec<Row>> {
        let (done, rows) = tokio::join!(
            biased;
            self.client.query_typed(first.0, first.1),
            self.client.query_typed(second.0, second.1),
        );
        self.used_at = SystemTime::now();
        let rows = done.and(rows).map_err(|source| policy::failure_beside_rows(action, source));
        self.spoiling(rows)
    }

    /// Changes a setting that the server need not know.
    pub async fn try_setting(&mut self, sql: &str) -> Result<()> {
        match self.client.batch_execute(sql).await {
            Err(source) if source.as_db_error().is_none() => {
                self.spoiling(Err(policy::failure_beside_rows("change a setting", source)))
            }
            _ => Ok(()),
        }
    }

    /// The text of each partition's value, of LIST partitions over one column.
    pub async fn partitions(&mut self, table: &TableName) -> Result<Vec<String>> {
        let partitions = catalog::partitions(self, table).await;
        self.spoiling(partitions)
    }

    /// Runs one statement with bound values.
    pub async fn query(&mut self, sql: &str, values: &[Parameter<'_>], action: &str) -> Result<Vec<Row>> {
        let rows = self.client.query_typed(sql, values).await;
        let rows = rows.map_err(|source| policy::failure_beside_rows(action, source));
        self.used_at = SystemTime::now();
        self.spoiling(rows)
    }

    /// Begins a load, in which no statement runs longer than `statement_ms` and none waits longer than `lock_ms` for a
    /// lock. On PostgreSQL that is a transaction; Hologres has none for rows (Hologres help, "SQL transaction
    /// capabilities"): every statement there stands by itself.
    pub async fn begin(&mut self, statement_ms: u64, lock_ms: u64) -> Result<()> {
        if self.dialect.is_hologres() {
            // The clock anew: while a sandbox is frozen our own may stand still.
            return self.read_clock(Some(&format!("SET statement_timeout = {statement_ms}"))).await;
        }
        self.is_in_transaction = true;
        let sql = format!(
            "BEGIN; SET LOCAL statement_timeout = {statement_ms}; SET LOCAL lock_timeout = {lock_ms}"
        );
        self.run(&sql, "begin a transaction").await
    }

    /// No statement of this session runs longer from now on.
    pub async fn limit_statements(&mut self, statement_ms: u64) -> Result<()> {
        self.run(&format!("SET statement_timeout = {statement_ms}"), "set the statement timeout").await
    }

    /// Changes how long statements of the open transaction may wait for locks.
    pub async fn set_lock_timeout(&mut self, lock_ms: u64) -> Result<()> {
        if !self.is_in_transaction {
            return Ok(());
        }
        self.run(&format!("SET LOCAL lock_timeout = {lock_ms}"), "set the lock timeout").await
    }

    /// Commits the open transaction, if one is open.
    pub async fn commit(&mut self) -> Result<()> {
        if !self.is_in_transaction {
            return Ok(());
        }
        // Constraints may be deferred to here: a row's fault is the object's.
        let done = self.client.batch_execute("COMMIT").await;
        self.used_at = SystemTime::now();
        self.spoiling(done.map_err(|source| policy::failure("commit", source).error))?;
        self.is_in_transaction = false;
        Ok(())
    }

    /// Rolls the open transaction back, if one is open.
    pub async fn rollback(&mut self) -> Result<()> {
        if !self.is_in_transaction {
            return Ok(());
        }
        self.run("ROLLBACK", "roll back").await?;
        self.is_in_transaction = false;
        Ok(())
    }

    /// Ends the connection and waits until it is gone. A statement that is still running is cancelled first, so
    /// that its locks do not outlive us. Takes at most twice the `limit`.
    pub async fn close(self, server: &Server, limit: Duration) {
        let Self { client, mut connection, is_in_transaction, is_writing, is_spoiled, .. } = self;
        if is_writing || (is_in_transaction || is_spoiled) && !client.is_closed() {
            cancel(client.cancel_token(), server, limit).await;
        }
        drop(client);
        if tokio::time::timeout(limit, &mut connection).await.is_err() {
            connection.abort();
            // An aborted task ends with an error that says just that.
            drop(connection.await);
        }
    }

    /// On Hologres a statement whose connection broke runs on, and what it writes stays: it is to be cancelled before
    /// others are told that nobody is at work here.
    fn may_still_write(&self, failure: Option<&Failure>) -> bool {
        self.dialect.is_hologres() && failure.is_some_and(|failure| failure.kind == FailureKind::Connection)
    }

    fn spoiling<T>(&mut self, result: Result<T>) -> Result<T> {
        self.is_spoiled |= result.is_err();
        result
    }
}

async fn run<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    // Whoever waits for an answer gets the connection's error; nobody else needs it.
    drop(connection.await);
}

async fn cancel(token: CancelToken, server: &Server, limit: Duration) {
    // Best effort: the connection is dropped next, which ends the statement as soon as the server notices.
    let cancelled = async {
        if server.tls == TlsMode::InsecurePlaintext {
            token.cancel_query(NoTls).await
        } else {
            match tls::connector(server.tls, server.ca_pem.as_deref()) {
                Ok(connector) => {
                    token.cancel_query(postgres_native_tls::MakeTlsConnector::new(connector)).await
                }
                Err(_) => Ok(()),
            }
        }
    };
    drop(tokio::time::timeout(limit, cancelled).await);
}

/// The version that an answer tells; none where the server has nothing to say or refuses to.
fn version_of(answer: Answer) -> std::result::Result<Option<Version>, tokio_postgres::Error> {
    match answer {
        Ok(messages) => Ok(first_value(&messages).as_deref().and_then(Version::parse)),
        Err(source) if source.as_db_error().is_some() => Ok(None),
        Err(source) => Err(source),
    }
}

fn first_value(messages: &[SimpleQueryMessage]) -> Option<String> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

/// `15.8 (Debian …)` is 150008, `11.22` is 110022.
fn version_num(text: &str) -> u32 {
    let mut parts = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let major = parts.next().unwrap_or(0);
    let minor = parts.next().unwrap_or(0);
    major.saturating_mul(10_000).saturating_add(minor)
}

#[cfg(test)]
mod tests {
    use super::version_num;

    #[test]
    fn versions_are_read() {
        assert_eq!(version_num("15.18 (Debian 15.18-0+deb12u1)"), 150_018);
        assert_eq!(version_num("11.22"), 110_022);
        assert_eq!(version_num("18beta1"), 180_000);
        assert_eq!(version_num("unknown"), 0);
    }
}
