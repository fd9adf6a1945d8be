//! A stand-in for Hologres: a proxy in front of a real PostgreSQL that takes what Hologres takes, refuses what it
//! refuses with its texts, and fails on command.
//!
//! It follows what the vendor documents and what the vendor's own clients send, not what the loader happens to
//! need: it is there to find the loader wrong. Where no source says how Hologres behaves, it takes the choice that
//! is worst for a client that relies on one.

mod bulk_copy;
mod catalog;
mod copy;
mod door;
pub mod errors;
mod extended;
mod fault;
mod fixed_copy;
mod insert;
mod login;
mod partial;
mod prepare;
mod rows;
mod rules;
mod session;
mod simple;
mod sql;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

#[allow(unused_imports, reason = "every test binary uses a part of it")]
pub use fault::{Fault, Moment};
#[allow(unused_imports, reason = "every test binary uses a part of it")]
pub use login::{akv4_password, today};

use super::certs::{Authority, Leaf};
use super::postgres::Database;
use super::proxy::Direction;
use super::{block_on, lock};
use fault::Faults;
use session::Cancel;

/// Which Hologres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "V2.2 is how the vendor writes it")]
pub enum Profile {
    V2_2,
    V3_1,
    V4_1,
}

impl Profile {
    fn version(self) -> (u32, u32, u32) {
        match self {
            Self::V2_2 => (2, 2, 40),
            Self::V3_1 => (3, 1, 17),
            Self::V4_1 => (4, 1, 2),
        }
    }

    /// For example `3.1`.
    pub fn release(self) -> String {
        let (major, minor, _) = self.version();
        format!("{major}.{minor}")
    }
}

pub struct Options {
    pub profile: Profile,
    /// False: COPY in the extended protocol is refused before it starts, as an engine does that does not know it.
    pub extended_copy: bool,
    /// False: every `SET hg_…` answers 42704, as on a server too old to know the setting.
    pub keeps_unknown_settings: bool,
    /// Rows of a fixed copy that become visible together.
    pub fixed_copy_chunk_rows: usize,
    /// Refuses what no page or client of the vendor's shows to work: advisory locks, row locks, two writes in one
    /// text, and the like.
    pub refuses_undocumented: bool,
    /// The connection after so many is refused.
    pub connections_max: Option<usize>,
    pub leaf: Leaf,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            profile: Profile::V3_1,
            extended_copy: true,
            keeps_unknown_settings: true,
            fixed_copy_chunk_rows: 1000,
            refuses_undocumented: true,
            connections_max: None,
            leaf: Leaf::default(),
        }
    }
}

/// What the connections of one stand-in share.
struct Shared {
    options: Options,
    database: Database,
    backend_major: u32,
    acceptor: tokio_native_tls::TlsAcceptor,
    faults: Arc<Faults>,
    statements: Mutex<Vec<String>>,
    settings: Mutex<Vec<(String, String)>>,
    /// Of Hologres' own, what new sessions begin with.
    default_settings: Mutex<BTreeMap<String, String>>,
    cancels: Mutex<HashMap<(u32, u32), Arc<Cancel>>>,
    /// `akv4$` users whose password is of another day than today.
    stale_users: Mutex<Vec<String>>,
    connection_count: AtomicUsize,
    restart: watch::Sender<()>,
}

impl Shared {
    fn version(&self) -> (u32, u32, u32) {
        self.options.profile.version()
    }

    fn acceptor(&self) -> &tokio_native_tls::TlsAcceptor {
        &self.acceptor
    }

    fn saw(&self, sql: &str) {
        lock(&self.statements).push(sql.to_owned());
    }

    fn keep_setting(&self, name: &str, value: &str) {
        lock(&self.settings).push((name.to_owned(), value.to_owned()));
    }

    fn cancels(&self) -> MutexGuard<'_, HashMap<(u32, u32), Arc<Cancel>>> {
        lock(&self.cancels)
    }

    fn is_of_today(&self, user: &str) -> bool {
        !lock(&self.stale_users).iter().any(|stale| stale == user)
    }
}

/// A running stand-in. Dropped, it closes every connection.
pub struct Standin {
    shared: Arc<Shared>,
    front: Database,
    runtime: Option<Runtime>,
}

impl Standin {
    /// In front of a database of [`postgres::shared_hologres`](super::postgres::shared_hologres), which gets what
    /// Hologres has and PostgreSQL lacks.
    pub fn start(db: &Database, options: Options) -> Self {
        let (major, minor, patch) = options.profile.version();
        let shim = include_str!("shim.sql")
            .replace("{version}", &format!("{major}.{minor}.{patch}"))
            .replace("{release}", &format!("{major}.{minor}"));
        block_on(async { db.admin().await.batch_execute(&shim).await }).expect("the shim fits");
        let backend_major = db.value("SHOW server_version_num").and_then(|number| number.parse::<u32>().ok());
        let authority = Authority::new("stand-in authority");
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        // Beside the cluster, which takes it along when it goes, however the process ends.
        let folder = db.socket().0.parent().expect("the cluster's folder");
        let ca_path = folder.join(format!("standin-{port}.pem"));
        fs::write(&ca_path, authority.pem()).expect("ca.pem");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let front = db.behind(port, &authority, ca_path);
        let shared = Arc::new(Shared {
            acceptor: acceptor(&authority, &options.leaf),
            options,
            database: db.clone(),
            backend_major: backend_major.expect("a version") / 10_000,
            faults: Arc::default(),
            statements: Mutex::default(),
            settings: Mutex::default(),
            default_settings: Mutex::default(),
            cancels: Mutex::default(),
            stale_users: Mutex::default(),
            connection_count: AtomicUsize::new(0),
            restart: watch::Sender::new(()),
        });
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            door::serve(listener, serving).await;
        });
        Self { shared, front, runtime: Some(runtime) }
    }

    /// The same database as its clients see it: host, port and CA are the stand-in's; whatever the tests ask as
    /// superuser or as owner still goes straight to PostgreSQL.
    pub fn database(&self) -> Database {
        self.front.clone()
    }

    pub fn port(&self) -> u16 {
        self.front.port
    }

    /// Every SQL text seen so far, in order.
    pub fn statements(&self) -> Vec<String> {
        lock(&self.shared.statements).clone()
    }

    /// Every setting of Hologres' own that was kept so far, in order.
    pub fn settings(&self) -> Vec<(String, String)> {
        lock(&self.shared.settings).clone()
    }

    /// How often a statement whose SQL contains the text has run, prepared ones each time.
    pub fn executions(&self, sql_contains: &str) -> usize {
        self.shared.faults.runs(sql_contains)
    }

    /// How many connections have said who they are, let in or not.
    pub fn logins(&self) -> u32 {
        self.shared.faults.logins()
    }

    /// How many requests to cancel a statement have reached it.
    pub fn cancellations(&self) -> u32 {
        self.shared.faults.cancellations()
    }

    /// How many messages have passed in this direction since a cut after messages or bytes was last asked for.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.shared.faults.passed(direction)
    }

    /// How often a connection broke after so many messages or bytes.
    pub fn cuts(&self) -> u32 {
        self.shared.faults.cuts()
    }

    pub fn inject(&self, fault: Fault) {
        self.shared.faults.inject(fault);
    }

    /// Nothing goes wrong any more; what was held goes on.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Every connection is told 57P01 and closed, as when the instance restarts.
    pub fn restart(&self) {
        self.shared.restart.send_replace(());
    }

    /// Makes a user who may log in, with the rights of the database's owner. Any name will do: `BASIC$loader`.
    pub fn create_user(&self, name: &str, password: &str) {
        let (name, owner) = (sql::quote(name), sql::quote(&self.front.user));
        let password = sql::literal(password);
        self.front.query(&format!("CREATE ROLE {name} LOGIN PASSWORD {password}; GRANT {owner} TO {name}"));
    }

    /// Makes the user `akv4$id`, whose password is the one of this day (`yyyyMMdd`, UTC; see [`today`]).
    pub fn create_akv4_user(&self, id: &str, secret: &str, region: &str, day: &str) {
        let name = format!("akv4${id}");
        self.create_user(&name, &akv4_password(secret, region, day));
        if day != today() {
            lock(&self.shared.stale_users).push(name);
        }
    }
}

/// The statements of a text, one by one: many of them may not travel together.
pub fn statements_of(sql: &str) -> Vec<String> {
    sql::split(sql).into_iter().map(|statement| statement.text).collect()
}

impl Drop for Standin {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.front.ca_path);
        if let Some(runtime) = self.runtime.take() {
            // Also from inside of another runtime, which may not wait.
            runtime.shutdown_background();
        }
    }
}

fn acceptor(authority: &Authority, leaf: &Leaf) -> tokio_native_tls::TlsAcceptor {
    let issued = authority.issue(leaf);
    let identity =
        native_tls::Identity::from_pkcs8(issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
    let acceptor = native_tls::TlsAcceptor::new(identity.expect("an identity"));
    acceptor.expect("an acceptor").into()
}
