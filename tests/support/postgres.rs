//! A real PostgreSQL cluster of its own, with TLS and scram, in a folder under `/tmp`.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::certs::{Authority, Issued, Leaf};
use super::{Watchdog, block_on, wait_until};

const SUPERUSER: &str = "postgres";
/// Characters that an address or a shell would take for their own.
const PASSWORD: &str = "p@ss:w/rd%1";
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How passwords are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    Scram,
    Md5,
}

/// What kind of cluster to start. The default is TLS only, scram, an authority of its own.
pub struct Options {
    pub authentication: Authentication,
    /// False: a server without any TLS, which takes plaintext connections.
    pub tls: bool,
    /// Signs the server's certificate; `None` makes one.
    pub authority: Option<Authority>,
    pub leaf: Leaf,
    /// Further lines of `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    /// The folder of `initdb` and `postgres`; `None` finds one.
    pub binaries: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            authentication: Authentication::Scram,
            tls: true,
            authority: None,
            leaf: Leaf::default(),
            settings: Vec::new(),
            binaries: None,
        }
    }
}

impl Options {
    /// A cluster for the Hologres stand-in.
    pub fn behind_standin() -> Self {
        let binaries = std::env::var_os("HOLOLOAD_TEST_PGBIN11").map(PathBuf::from);
        Self {
            authentication: Authentication::Md5,
            tls: false,
            settings: vec![("max_connections".to_owned(), "400".to_owned())],
            // A root's tests run the server as another user, who may not reach the folder.
            binaries: binaries.filter(|folder| is_runnable(folder)),
            ..Self::default()
        }
    }
}

/// One database and what a client needs to reach it as the user `app`, who owns it.
#[derive(Clone, Debug)]
pub struct Database {
    pub host: String,
    pub port: u16,
    pub name: String,
    pub user: String,
    pub password: String,
    pub ca_pem: String,
    pub ca_path: PathBuf,
    pub tls: bool,
    socket_dir: PathBuf,
    /// The server's own port, whatever stands in front of it.
    socket_port: u16,
}

impl Database {
    /// The target as the loader's environment names it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("HOLOLOAD_HOST", self.host.clone()),
            ("HOLOLOAD_PORT", self.port.to_string()),
            ("HOLOLOAD_DATABASE", self.name.clone()),
            ("HOLOLOAD_USER", self.user.clone()),
            ("HOLOLOAD_PASSWORD", self.password.clone()),
        ];
        if self.tls {
            variables.push(("HOLOLOAD_CA", self.ca_path.display().to_string()));
        } else {
            variables.push(("HOLOLOAD_TLS", "insecure-plaintext".to_owned()));
        }
        variables
    }

    /// A connection as superuser, over the unix socket: neither TLS nor a proxy is in its way.
    pub async fn admin(&self) -> Client {
        self.local(SUPERUSER).await.expect("the superuser connects")
    }

    /// A connection as the user `app`, over the unix socket.
    pub async fn client(&self) -> Client {
        self.local(&self.user).await.expect("the user connects")
    }

    async fn local(&self, user: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.socket_dir).port(self.socket_port).user(user).dbname(&self.name);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// The same database behind something that listens on this port and shows certificates of this authority.
    pub fn behind(&self, port: u16, authority: &Authority, ca_path: PathBuf) -> Self {
        let ca_pem = authority.pem();
        Self { host: "localhost".to_owned(), port, ca_pem, ca_path, tls: true, ..self.clone() }
    }

    /// The folder of the server's unix socket, and the number in its name.
    pub fn socket(&self) -> (&Path, u16) {
        (&self.socket_dir, self.socket_port)
    }

    /// The rows that one or more statements answer, as text, read by the superuser. Blocks; see [`rows`] otherwise.
    pub fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        block_on(async { rows(&self.admin().await, sql).await })
    }

    /// The first value of the first row; `None` for NULL and for no row.
    pub fn value(&self, sql: &str) -> Option<String> {
        self.query(sql).into_iter().next()?.into_iter().next()?
    }

    /// Runs statements as the user `app`, who owns what they create.
    pub fn run(&self, sql: &str) {
        block_on(async {
            let result = self.client().await.batch_execute(sql).await;
            result.unwrap_or_else(|error| panic!("{}\n{sql}", described(&error)));
        });
    }

    /// Rows of a table, or of any `from` expression.
    pub fn count(&self, table: &str) -> i64 {
        self.integer(&format!("SELECT count(*) FROM {table}"))
    }

    /// Sessions of the user `app` that are inside a transaction and wait for their client.
    pub fn idle_in_transaction(&self) -> i64 {
        self.sessions("state LIKE 'idle in transaction%'")
    }

    /// Sessions of the user `app` that meet a condition on `pg_stat_activity`.
    pub fn sessions(&self, condition: &str) -> i64 {
        self.integer(&format!(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE usename = '{}' AND datname = '{}' AND ({condition})",
            self.user, self.name
        ))
    }

    /// Ends every session of the user `app` in this database, as an administrator would; answers how many.
    pub fn terminate_sessions(&self) -> usize {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{}' AND datname = '{}'",
            self.user, self.name
        );
        self.query(&sql).len()
    }

    fn integer(&self, sql: &str) -> i64 {
        self.value(sql).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no integer: {sql}"))
    }
}

/// The rows that one or more statements answer, as text.
pub async fn rows(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(sql).await;
    let messages = messages.unwrap_or_else(|error| panic!("{}\n{sql}", described(&error)));
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.map(|row| (0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect()).collect()
}

fn described(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string)
}

/// A running cluster; it is itself its first database, `app`. Dropped, it is stopped and its folder removed.
pub struct Postgres {
    main: Database,
    dir: PathBuf,
    authority: Authority,
    user: Option<User>,
    database_count: AtomicU32,
    _server: Watchdog,
}

impl Deref for Postgres {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.main
    }
}

/// One cluster for the whole test binary, stopped when the process ends.
pub fn shared() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(|| Postgres::start(Options::default()))
}

/// One cluster for the whole test binary to stand behind the Hologres stand-in: PostgreSQL 11 where
/// `HOLOLOAD_TEST_PGBIN11` names its programs, and plaintext, because the stand-in ends TLS.
pub fn shared_hologres() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(|| Postgres::start(Options::behind_standin()))
}

impl Postgres {
    pub fn start(options: Options) -> Self {
        let binaries = options.binaries.unwrap_or_else(binaries);
        let authority = options.authority.unwrap_or_else(|| Authority::new("test authority"));
        let setup = Setup { authority: &authority, leaf: &options.leaf, settings: &options.settings };
        // The port was free a moment ago; another process may have taken it since.
        let (main, dir, user, server) = (0..5)
            .find_map(|_| setup.start(&binaries, options.authentication, options.tls))
            .expect("five ports in a row were taken by others");
        let postgres =
            Self { main, dir, authority, user, database_count: AtomicU32::new(0), _server: server };
        postgres.create_app();
        postgres
    }

    fn create_app(&self) {
        let maintenance = Database { name: "postgres".to_owned(), ..self.main.clone() };
        maintenance.query(&format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'"));
        maintenance.query("CREATE DATABASE app OWNER app TEMPLATE template0");
    }

    /// A fresh, empty database of the user `app`, so that tests can run side by side. The name gets a number.
    pub fn database(&self, name: &str) -> Database {
        let number = self.database_count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}_{number}");
        self.query(&format!("CREATE DATABASE \"{name}\" OWNER app TEMPLATE template0"));
        Database { name, ..self.main.clone() }
    }

    /// An empty database of exactly this name, and its owner.
    pub fn database_of(&self, name: &str, user: &str, password: &str) -> Database {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let secret = password.replace('\'', "''");
        self.query(&format!("CREATE ROLE {} LOGIN PASSWORD '{secret}'", quoted(user)));
        self.query(&format!("CREATE DATABASE {} OWNER {} TEMPLATE template0", quoted(name), quoted(user)));
        let (name, user, password) = (name.to_owned(), user.to_owned(), password.to_owned());
        Database { name, user, password, ..self.main.clone() }
    }

    /// The superuser's name and password.
    pub fn superuser() -> (&'static str, &'static str) {
        (SUPERUSER, PASSWORD)
    }

    /// The authority that signed the server's first certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// New connections are shown this certificate from now on.
    pub fn replace_certificate(&self, issued: &Issued) {
        let loaded = || self.value("SELECT pg_conf_load_time()");
        let before = loaded();
        write_certificate(&self.dir, self.user.as_ref(), issued);
        self.query("SELECT pg_reload_conf()");
        assert!(
            wait_until(START_TIMEOUT, || loaded() != before) && !self.log_text().contains("was not reloaded"),
            "the certificate was not reloaded:\n{}",
            self.log_text()
        );
    }

    /// Everything the server has written to its log.
    pub fn log_text(&self) -> String {
        log_text(&self.dir)
    }

    /// For example 15 or 11.
    pub fn major_version(&self) -> u32 {
        let number = self.value("SHOW server_version_num").expect("a version");
        number.parse::<u32>().expect("a number") / 10_000
    }

    /// The folder that goes with the cluster.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// What the server runs as when the tests run as root, which it refuses to.
#[derive(Clone, Copy)]
struct User {
    id: u32,
    group: u32,
}

struct Setup<'a> {
    authority: &'a Authority,
    leaf: &'a Leaf,
    settings: &'a [(String, String)],
}

impl Setup<'_> {
    /// `None` when the port was taken in between.
    fn start(
        &self,
        binaries: &Path,
        authentication: Authentication,
        tls: bool,
    ) -> Option<(Database, PathBuf, Option<User>, Watchdog)> {
        // Not the system's own choice of a temporary folder: a socket's path may not be longer than 100 bytes.
        let temporary = tempfile::Builder::new().prefix("holoload-pg-").tempdir_in("/tmp").expect("a folder");
        let dir = temporary.path().to_owned();
        // Until the server has its own: `initdb` takes long enough to be interrupted, and may write once more.
        let remove = "rm -rf \"$1\"; sleep 1; rm -rf \"$1\"";
        let mut folder = Watchdog::start(&mut Command::new("sh"), "", remove, &[path_text(&dir)]);
        let is_root = fs::metadata(&dir).expect("the folder").uid() == 0;
        let user = is_root.then(unprivileged);
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        give(&dir, user.as_ref());

        let method = if authentication == Authentication::Scram { "scram-sha-256" } else { "md5" };
        initialize(binaries, &dir, user.as_ref(), method);
        fs::write(dir.join("ca.pem"), self.authority.pem()).expect("ca.pem");
        write_certificate(&dir, user.as_ref(), &self.authority.issue(self.leaf));
        let port = free_port();
        let settings = self.configuration(&dir, port, method, tls, has_tls_minimum(binaries));
        let conf = dir.join("data/postgresql.conf");
        fs::write(&conf, settings).expect("postgresql.conf");
        let door = if tls { "hostssl" } else { "host" };
        let hba = format!("local all all trust\n{door} all all 127.0.0.1/32 {method}\n");
        fs::write(dir.join("data/pg_hba.conf"), hba).expect("pg_hba.conf");

        let mut shell = Command::new("sh");
        become_user(&mut shell, user.as_ref());
        let server = Watchdog::start(
            shell.current_dir(&dir),
            "\"$1/postgres\" -D \"$2/data\" >>\"$2/log\" 2>&1 &\nserver=$!",
            // An immediate shutdown: nothing of this cluster is needed again.
            "kill -QUIT $server; wait $server; cd /; rm -rf \"$2\"",
            &[path_text(binaries), path_text(&dir)],
        );
        let dir = temporary.keep();
        folder.dismiss();
        let pid_file = dir.join("data/postmaster.pid");
        let mut failed = false;
        let started = wait_until(START_TIMEOUT, || {
            failed = log_text(&dir).contains("FATAL:");
            failed || fs::read_to_string(&pid_file).is_ok_and(|text| text.contains("\nready"))
        });
        if failed && log_text(&dir).contains("could not create any TCP/IP sockets") {
            return None;
        }
        assert!(started && !failed, "PostgreSQL did not start:\n{}", log_text(&dir));
        let main = Database {
            host: "localhost".to_owned(),
            port,
            name: "app".to_owned(),
            user: "app".to_owned(),
            password: PASSWORD.to_owned(),
            ca_pem: self.authority.pem(),
            ca_path: dir.join("ca.pem"),
            tls,
            socket_dir: dir.join("socket"),
            socket_port: port,
        };
        Some((main, dir, user, server))
    }

    fn configuration(&self, dir: &Path, port: u16, method: &str, tls: bool, has_tls_minimum: bool) -> String {
        let dir = dir.display();
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{dir}/socket'\n\
             max_connections = 100\nshared_buffers = 128MB\nmax_wal_size = 2GB\n\
             fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n\
             password_encryption = '{method}'\nlog_line_prefix = '%m [%p] %u@%d '\n"
        );
        if tls {
            write!(text, "ssl = on\nssl_cert_file = '{dir}/server.crt'\nssl_key_file = '{dir}/server.key'\n")
                .expect("text");
            if has_tls_minimum {
                text.push_str("ssl_min_protocol_version = 'TLSv1.2'\n");
            }
        }
        for (name, value) in self.settings {
            writeln!(text, "{name} = '{}'", value.replace('\'', "''")).expect("text");
        }
        text
    }
}

fn initialize(binaries: &Path, dir: &Path, user: Option<&User>, method: &str) {
    let socket_dir = dir.join("socket");
    fs::create_dir(&socket_dir).expect("the socket's folder");
    // Whoever reaches the socket is superuser without a password.
    fs::set_permissions(&socket_dir, fs::Permissions::from_mode(0o700)).expect("the folder is ours");
    give(&socket_dir, user);
    let password_file = dir.join("superuser-password");
    fs::write(&password_file, PASSWORD).expect("a password file");
    let mut initdb = Command::new(binaries.join("initdb"));
    become_user(&mut initdb, user);
    initdb.current_dir(dir).arg("-D").arg(dir.join("data")).arg("--pwfile").arg(&password_file);
    initdb.args(["-A", method, "-U", SUPERUSER, "-E", "UTF8", "--no-locale", "--no-sync"]);
    let output = initdb.output().unwrap_or_else(|error| {
        panic!(
            "{} does not run ({error}); a root's tests run it as another user, who must be able to reach it",
            initdb.get_program().display()
        )
    });
    assert!(
        output.status.success(),
        "initdb failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn write_certificate(dir: &Path, user: Option<&User>, issued: &Issued) {
    fs::write(dir.join("server.crt"), &issued.certificate_pem).expect("server.crt");
    let key = dir.join("server.key");
    fs::write(&key, &issued.key_pem).expect("server.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("the key is ours");
    give(&key, user);
}

fn give(path: &Path, user: Option<&User>) {
    if let Some(user) = user {
        chown(path, Some(user.id), Some(user.group)).expect("root may give files away");
    }
}

fn become_user(command: &mut Command, user: Option<&User>) {
    if let Some(user) = user {
        command.uid(user.id).gid(user.group);
    }
}

fn is_runnable(binaries: &Path) -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let mut postgres = Command::new(binaries.join("postgres"));
    become_user(&mut postgres, is_root.then(unprivileged).as_ref());
    postgres.arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The user `postgres` where there is one, else `nobody`.
fn unprivileged() -> User {
    let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let find = |name: &str| {
        let mut fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = fields.find(|fields| fields.first() == Some(&name))?;
        Some(User { id: fields.get(2)?.parse().ok()?, group: fields.get(3)?.parse().ok()? })
    };
    find("postgres").or_else(|| find("nobody")).expect("a user `postgres` or `nobody` to run the server as")
}

/// The folder of `initdb` and `postgres`.
fn binaries() -> PathBuf {
    let has_server = |dir: &PathBuf| dir.join("initdb").is_file() && dir.join("postgres").is_file();
    if let Some(dir) = std::env::var_os("PGBIN").map(PathBuf::from) {
        assert!(has_server(&dir), "PGBIN={} holds no initdb and postgres", dir.display());
        return dir;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    newest_below("/usr/lib/postgresql", "")
        .into_iter()
        .chain(newest_below("/opt/homebrew/opt", "postgresql@"))
        .chain(newest_below("/usr/local/opt", "postgresql@"))
        .chain(std::env::split_paths(&path))
        .find(has_server)
        .expect(
            "PostgreSQL's server is not installed. Debian, Ubuntu: `apt-get install postgresql`; macOS: \
             `brew install postgresql@17`; or set PGBIN to the folder of initdb and postgres",
        )
}

/// `parent/prefixN/bin`, the highest N first.
fn newest_below(parent: &str, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, dir)| dir).collect()
}

/// `ssl_min_protocol_version` came with PostgreSQL 12.
fn has_tls_minimum(binaries: &Path) -> bool {
    let output = Command::new(binaries.join("postgres")).arg("--version").output().expect("postgres runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().find_map(|word| word.split('.').next()?.parse::<u32>().ok());
    version.is_none_or(|major| major >= 12)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn log_text(dir: &Path) -> String {
    fs::read(dir.join("log")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
