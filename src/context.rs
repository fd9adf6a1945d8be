//! What outlives one load: plans, clients, the warm connection. Both doors start the same one.

use std::time::{Duration, Instant};

use crate::aws::Aws;
use crate::database::{CLOSE_TIMEOUT_MS, Server, Session};
use crate::error::{Class, Error, Result};
use crate::ledger::Ledger;
use crate::object::ObjectRef;
use crate::plan::{Limits, Planner};
use crate::reject::Place;
use crate::settings::{Environment, LoginMode, PasswordSource, Settings, Target};
use crate::sink::Refusals;

/// A CA file is a few certificates.
const CA_BYTES_MAX: u64 = 1024 * 1024;
/// Rotation may have changed the secret since it was read; asking again more often than this helps nobody.
const SECRET_AGE_MIN_MS: u64 = 1_000;

/// What does without the ledger does without, in one line.
const LEDGER_OFF: &str = "the ledger is off: repeated, late and simultaneous deliveries are not told apart";

/// A configuration is a page or two; a megabyte of it is the wrong file.
const CONFIG_BYTES_MAX: usize = 1024 * 1024;

/// Reads the settings: `HOLOLOAD_CONFIG` is the YAML itself, an `s3://` address or a path.
///
/// # Errors
/// `Config` for what cannot be read or does not parse.
pub async fn settings(environment: &Environment, aws: Option<&Aws>) -> Result<Settings> {
    let yaml = match environment.get("HOLOLOAD_CONFIG") {
        None => None,
        Some(text) if text.contains('\n') || text.contains(": ") => Some(text.to_owned()),
        Some(address) if address.starts_with("s3://") => {
            let object = ObjectRef::parse_s3(address)?;
            let aws = aws.ok_or_else(|| Error::bug("read the configuration from S3 without a client"))?;
            let text = aws.text(&object.bucket, &object.key, CONFIG_BYTES_MAX).await;
            Some(text.map_err(|error| {
                // A configuration that is not there is no fault of the object that was to be loaded.
                let error =
                    if error.class() == Class::Input { error.reclassed(Class::Config) } else { error };
                error.context("read the configuration")
            })?)
        }
        Some(path) => Some(std::fs::read_to_string(path).map_err(|source| {
            Error::config(format!("read the configuration `{path}`"))
                .with_source(source)
                .with_hint("HOLOLOAD_CONFIG (--config) is a path, an `s3://` address, or the YAML itself")
        })?),
    };
    Settings::read(yaml.as_deref(), environment)
}

/// Everything a load needs that is made once.
pub struct Context {
    /// Routes and limits.
    pub planner: Planner,
    /// S3 and its kin; none where only local files are loaded.
    pub aws: Option<Aws>,
    /// The two tables, unless done without.
    pub ledger: Option<Ledger>,
    /// Where rejects go.
    pub rejects: Option<Place>,
    /// Things worth telling that are no errors.
    pub warnings: Vec<String>,
    /// An object whose content failed is answered as done.
    pub acknowledge_failed: bool,
    /// ARN of the queue that takes what is too much for one invocation.
    pub queue: Option<String>,
    server: Server,
    secret: Option<Secret>,
    session: Option<Session>,
    /// Beside a connection that a copy takes up.
    side: Option<Session>,
    /// Paths that the server turned out not to have.
    pub refusals: Refusals,
    is_ledger_ready: bool,
}

struct Secret {
    id: String,
    read_at: Instant,
}

impl Context {
    /// Makes and checks everything that needs no database.
    ///
    /// # Errors
    /// `Config` for settings that cannot work; `Access` when the secret may not be read.
    pub async fn start(settings: &Settings, aws: Option<Aws>, limits: Limits) -> Result<Self> {
        let target = settings.target()?;
        let planner = Planner::new(settings, limits)?;
        let ledger = settings.ledger.as_deref().map(Ledger::new).transpose()?;
        let rejects = settings.rejects.as_deref().map(Place::parse).transpose()?;
        let mut server = server(target)?;
        let secret = match &target.password {
            PasswordSource::SecretsManager(id) => {
                let aws = aws.as_ref().ok_or_else(|| Error::bug("read a secret without a client"))?;
                read_secret(aws, id, &mut server).await?;
                Some(Secret { id: id.clone(), read_at: Instant::now() })
            }
            PasswordSource::Given(_) | PasswordSource::None => None,
        };
        server.check_login()?;
        let mut warnings = settings.warnings.clone();
        if ledger.is_none() {
            warnings.push(LEDGER_OFF.to_owned());
        }
        Ok(Self {
            planner,
            aws,
            ledger,
            rejects,
            warnings,
            acknowledge_failed: settings.acknowledge_failed,
            queue: settings.queue.clone(),
            server,
            secret,
            session: None,
            side: None,
            refusals: Refusals::default(),
            is_ledger_ready: false,
        })
    }

    /// The warm connection, or a new one; the ledger exists once this answers.
    pub async fn session(&mut self) -> Result<&mut Session> {
        self.bare_session().await?;
        let session = self.session.as_mut().ok_or_else(|| Error::bug("keep the connection"))?;
        if let (Some(ledger), false) = (&self.ledger, self.is_ledger_ready) {
            ledger.create(session).await?;
            self.is_ledger_ready = true;
        }
        Ok(session)
    }

    /// The warm connection, or a new one; nothing is created.
    pub async fn bare_session(&mut self) -> Result<&mut Session> {
        let is_reusable = self.session.as_ref().is_some_and(Session::is_reusable);
        if !is_reusable {
            self.discard().await;
            let session = self.open().await?;
            self.session = Some(session);
        }
        self.session.as_mut().ok_or_else(|| Error::bug("keep the connection"))
    }

    /// The connection on which a load is at work: another one would know nothing of it.
    pub fn standing_session(&mut self) -> Result<&mut Session> {
        self.session.as_mut().ok_or_else(|| Error::transient("go on: the connection is gone"))
    }

    /// A new connection in place of the one that stands.
    pub async fn renew_session(&mut self) -> Result<()> {
        self.discard().await;
        self.bare_session().await.map(drop)
    }

    /// A second connection, for what must be said while a copy takes up the first.
    pub async fn side_session(&mut self) -> Result<&mut Session> {
        if !self.side.as_ref().is_some_and(Session::is_reusable) {
            let session = self.open().await?;
            self.side = Some(session);
        }
        self.side.as_mut().ok_or_else(|| Error::bug("keep the second connection"))
    }

    /// Both connections at once: the copy's, and the one beside it.
    pub fn both_sessions(&mut self) -> Result<(&mut Session, &mut Session)> {
        let both = self.session.as_mut().zip(self.side.as_mut());
        both.ok_or_else(|| Error::transient("go on: a connection is gone"))
    }

    /// Ends the connection and waits until it is gone.
    pub async fn discard(&mut self) {
        self.discard_within(Duration::from_millis(CLOSE_TIMEOUT_MS)).await;
    }

    /// The same where time is short: takes at most twice the `limit`, also when nobody answers any more.
    pub async fn discard_within(&mut self, limit: Duration) {
        for session in [self.session.take(), self.side.take()].into_iter().flatten() {
            session.close(&self.server, limit).await;
        }
    }

    /// Ends the connections if anything of a load is left in one: between two invocations nothing would end it, and a
    /// frozen sandbox keeps its locks.
    pub async fn leave_within(&mut self, limit: Duration) {
        if !self.session.iter().chain(&self.side).all(Session::is_at_rest) {
            self.discard_within(limit).await;
        }
    }

    /// Looks for the ledger's tables again before the next load.
    pub fn forget_ledger(&mut self) {
        self.is_ledger_ready = false;
    }

    async fn open(&mut self) -> Result<Session> {
        let refused = match self.log_in().await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        // Rotation: the secret may hold a newer password than the one that was refused. Accounts are locked after a
        // few refusals, so the same password is not shown again.
        if refused.is_refused_login() && self.reread_secret().await? {
            return self.log_in().await;
        }
        Err(refused)
    }

    /// Whether the secret says something new.
    async fn reread_secret(&mut self) -> Result<bool> {
        let (Some(secret), Some(aws)) = (&mut self.secret, &self.aws) else { return Ok(false) };
        if secret.read_at.elapsed() < Duration::from_millis(SECRET_AGE_MIN_MS) {
            return Ok(false);
        }
        let before = (self.server.user.clone(), self.server.password.clone());
        read_secret(aws, &secret.id, &mut self.server).await?;
        secret.read_at = Instant::now();
        Ok(before != (self.server.user.clone(), self.server.password.clone()))
    }

    /// One login; with `auto` the first refusal of AKv4 is followed by a plain one, once in the process's life.
    async fn log_in(&mut self) -> Result<Session> {
        let opened = Session::open(&self.server).await;
        if !self.server.may_fall_back() {
            return opened;
        }
        match opened {
            Ok(session) => {
                self.server.login = LoginMode::Akv4;
                Ok(session)
            }
            Err(refused) if refused.is_refused_login() => {
                tracing::warn!(error = %refused, "AKv4 login refused, plain login from now on");
                self.server.login = LoginMode::Plain;
                Session::open(&self.server).await
            }
            Err(other) => Err(other),
        }
    }
}

async fn read_secret(aws: &Aws, id: &str, server: &mut Server) -> Result<()> {
    let (user, password) = aws.login(id).await?;
    if let Some(user) = user {
        server.user = user;
    }
    if server.user.is_empty() {
        return Err(Error::config("no user is named")
            .with_hint("put `username` into the secret, or set HOLOLOAD_USER"));
    }
    server.password = Some(password.into());
    Ok(())
}

/// Whom to talk to; a password that is kept elsewhere is not in it yet.
///
/// # Errors
/// `Config` for a CA that cannot be read.
pub fn server(target: &Target) -> Result<Server> {
    let password = match &target.password {
        PasswordSource::Given(password) => Some(password.clone()),
        PasswordSource::SecretsManager(_) | PasswordSource::None => None,
    };
    Ok(Server {
        host: target.host.clone(),
        port: target.port,
        database: target.database.clone(),
        user: target.user.clone(),
        password,
        login: target.login,
        region: target.region.clone(),
        tls: target.tls,
        ca_pem: target.ca.as_deref().map(ca_pem).transpose()?,
        timezone: target.timezone.clone(),
    })
}

/// PEM text as it is, anything else is the path of a file.
fn ca_pem(ca: &str) -> Result<Vec<u8>> {
    if ca.contains("-----BEGIN") {
        // One-line environment files carry line ends as `\n`.
        return Ok(ca.replace("\\n", "\n").into_bytes());
    }
    let refuse = |source: std::io::Error| {
        Error::config(format!("read the CA certificate `{ca}`"))
            .with_source(source)
            .with_hint("HOLOLOAD_CA (`target.ca`) must be PEM text or the path of a PEM file")
    };
    let size = std::fs::metadata(ca).map_err(refuse)?.len();
    if size > CA_BYTES_MAX {
        return Err(Error::config(format!(
            "read the CA certificate `{ca}`: it is larger than {CA_BYTES_MAX} bytes"
        )));
    }
    std::fs::read(ca).map_err(refuse)
}
