//! One connection: what the client says is looked at, and passed on to PostgreSQL, changed, or answered here.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::{Notify, watch};

use super::super::lock;
use super::Shared;
use super::catalog::{Side, Table, rewritten};
use super::errors::Refusal;
use super::fault::Verdict;
use super::prepare::{Action, Prepared};
use super::rules::{Class, Setting};
use super::wire::{Message, Peer};

const AFFECTED_ROWS: &str = "hg_experimental_enable_fixed_dispatcher_affected_rows";
const DISPLAY_QUERY_ID: &str = "hg_experimental_display_query_id";
const ENABLE_TRANSACTION: &str = "hg_experimental_enable_transaction";

/// Why a statement goes no further.
pub enum Stop {
    /// The client is told, and goes on.
    Refused(Refusal),
    /// The connection is over.
    Closed(io::Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Closed(error)
    }
}

/// Who spoke.
pub enum Event {
    Client(Message),
    Backend(Message),
}

/// What PostgreSQL answered to a query of our own.
#[derive(Default)]
pub struct Answer {
    /// First column of every row.
    pub values: Vec<String>,
    pub tag: String,
}

/// Cancelling reaches a fixed copy too, which runs elsewhere than the session that a cancel request names.
#[derive(Default)]
pub struct Cancel {
    pub is_wanted: AtomicBool,
    pub wake: Notify,
}

impl Cancel {
    pub fn cancel(&self) {
        self.is_wanted.store(true, Ordering::Relaxed);
        self.wake.notify_waiters();
    }
}

/// Who a connection belongs to.
#[derive(Clone)]
pub struct Identity {
    pub user: String,
    pub database: String,
    /// `options=type=fixed`: a light connection for Fixed Plans alone.
    pub is_fixed: bool,
    /// Settings that came with the startup message, as statements.
    pub settings: BTreeMap<String, String>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own")]
pub struct Session {
    pub shared: Arc<Shared>,
    pub client: Peer,
    pub backend: Peer,
    pub cancel: Arc<Cancel>,
    pub identity: Identity,
    pub prepared: HashMap<String, Arc<Prepared>>,
    pub portals: HashMap<String, Arc<Prepared>>,
    /// The last Bind of a divisible statement.
    pub bound: Bytes,
    /// SQLSTATE of PostgreSQL's last error.
    pub last_code: String,
    /// After an error of the extended protocol nothing counts until Sync.
    pub is_skipping: bool,
    /// As in ReadyForQuery: idle, in a transaction, in a failed one.
    pub status: u8,
    /// Several statements of one text run in a transaction that nobody asked for.
    pub is_wrapped: bool,
    pub side: Option<Side>,
    restart: watch::Receiver<()>,
    settings: BTreeMap<String, String>,
    followed: BTreeMap<String, String>,
    has_written: bool,
    has_defined: bool,
}

impl Session {
    pub fn new(
        shared: Arc<Shared>,
        client: Peer,
        backend: Peer,
        identity: Identity,
        cancel: Arc<Cancel>,
    ) -> Self {
        let restart = shared.restart.subscribe();
        let followed = identity.settings.clone();
        let settings = lock(&shared.default_settings).clone();
        Self {
            shared,
            client,
            backend,
            cancel,
            identity,
            prepared: HashMap::new(),
            portals: HashMap::new(),
            bound: Bytes::new(),
            last_code: String::new(),
            is_skipping: false,
            status: b'I',
            is_wrapped: false,
            side: None,
            restart,
            settings,
            followed,
            has_written: false,
            has_defined: false,
        }
    }

    /// Serves the client until one side ends.
    pub async fn run(mut self) {
        // However it ended, what was said before is sent.
        let _ = self.serve().await;
        let _ = self.client.flush().await;
    }

    async fn serve(&mut self) -> io::Result<()> {
        loop {
            match self.event().await? {
                Event::Backend(message) => self.client.push(&message),
                Event::Client(Message { tag: b'X', .. }) => return Ok(()),
                Event::Client(message) if message.tag == b'Q' => self.simple(message).await?,
                Event::Client(message) => self.extended(message).await?,
            }
        }
    }

    /// Whatever happens next.
    pub async fn event(&mut self) -> io::Result<Event> {
        tokio::select! {
            biased;
            _ = self.restart.changed() => Err(self.restarting().await),
            message = self.client.next() => message.map(Event::Client),
            message = self.backend.next() => message.map(Event::Backend),
        }
    }

    /// What PostgreSQL says next.
    pub async fn answer(&mut self) -> io::Result<Message> {
        tokio::select! {
            biased;
            _ = self.restart.changed() => Err(self.restarting().await),
            message = self.backend.next() => message,
        }
    }

    async fn restarting(&mut self) -> io::Error {
        let text = "terminating connection due to administrator command";
        self.client.push(&Message::error("FATAL", "57P01", text));
        let _ = self.client.flush().await;
        io::ErrorKind::ConnectionAborted.into()
    }

    /// Breaks off in the middle of everything.
    pub fn cut(&mut self) -> Stop {
        self.client.cut();
        Stop::Closed(io::ErrorKind::ConnectionAborted.into())
    }

    pub fn setting(&self, name: &str) -> Option<&String> {
        self.settings.get(name)
    }

    pub fn is_on(&self, setting: &str) -> bool {
        self.settings.get(setting).is_some_and(|value| ["on", "true", "1", "yes"].contains(&value.as_str()))
    }

    /// Asked right before a statement runs: faults, and what depends on the moment.
    pub async fn admit(&mut self, prepared: &Prepared) -> Result<(), Stop> {
        self.hold(&prepared.sql).await?;
        match self.shared.faults.before(&prepared.sql) {
            Verdict::Run => {}
            Verdict::Fail(refusal) => return Err(refusal.into()),
            Verdict::Cut => return Err(self.cut()),
        }
        if self.status != b'T' || self.is_wrapped {
            return Ok(());
        }
        match prepared.class {
            Class::Dml(name) if self.has_defined => {
                Err(Refusal::not_supported(format!("{name} in ddl transaction is not supported now")).into())
            }
            Class::Dml(name) if !self.is_on(ENABLE_TRANSACTION) => {
                Err(Refusal::not_supported(format!("{name} in transaction is not supported now")).into())
            }
            Class::Dml(_) => {
                self.has_written = true;
                // Such a transaction locks every table that it writes as a whole.
                match &prepared.write.table {
                    Some(table) => self.lock_table(&table.clone()).await,
                    None => Ok(()),
                }
            }
            Class::Ddl if self.has_written => {
                Err(Refusal::not_supported("DDL in dml transaction is not supported now").into())
            }
            Class::Ddl => {
                self.has_defined = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn hold(&mut self, sql: &str) -> Result<(), Stop> {
        let shared = Arc::clone(&self.shared);
        let waiting = async {
            tokio::time::sleep(shared.faults.delay(sql)).await;
            shared.faults.released(sql).await;
        };
        tokio::pin!(waiting);
        self.client.flush().await?;
        loop {
            tokio::select! {
                biased;
                () = &mut waiting => return Ok(()),
                _ = self.restart.changed() => return Err(self.restarting().await.into()),
                more = self.client.fill() => more?,
            }
        }
    }

    /// After a statement that PostgreSQL ran well.
    pub async fn ran(&mut self, prepared: &Prepared) -> Result<(), Stop> {
        if let Some(setting) = prepared.setting.as_ref().filter(|setting| setting.is_followed()) {
            self.followed.insert(setting.name.clone(), prepared.sql.clone());
        }
        if let Action::Pass { after, .. } = &prepared.action {
            for sql in after {
                self.silent(sql).await?;
            }
        }
        if self.status == b'I' {
            (self.has_written, self.has_defined) = (false, false);
        }
        Ok(())
    }

    /// Does itself what PostgreSQL never hears of.
    pub async fn act(&mut self, action: &Action) -> Result<(), Stop> {
        match action {
            Action::Pass { .. } => Ok(()),
            Action::Keep(setting) => {
                self.keep(setting);
                self.client.push(&Message::complete("SET"));
                Ok(())
            }
            Action::Copy(copy) => self.copy(copy).await,
        }
    }

    /// Keeps a setting of Hologres' own.
    fn keep(&mut self, setting: &Setting) {
        let value = setting.value.to_lowercase();
        if setting.is_default {
            lock(&self.shared.default_settings).insert(setting.name.clone(), value);
            return;
        }
        self.shared.keep_setting(&setting.name, &setting.value);
        self.settings.insert(setting.name.clone(), value);
    }

    /// A command tag as this session is told it.
    pub fn tag(&self, message: Message) -> Message {
        let is_silent =
            self.settings.get(AFFECTED_ROWS).is_some_and(|value| value == "off" || value == "false");
        if is_silent && message.body.starts_with(b"INSERT ") {
            return Message::complete("INSERT 0 0");
        }
        if is_silent && message.body.starts_with(b"DELETE ") {
            return Message::complete("DELETE 0");
        }
        if is_silent && message.body.starts_with(b"COPY ") {
            return Message::complete("COPY 0");
        }
        message
    }

    /// The statement's number, for whoever asks the vendor about it.
    pub fn tell_query_id(&mut self) {
        if self.is_on(DISPLAY_QUERY_ID) {
            self.client.push(&Message::new(
                b'N',
                Message::error("NOTICE", "00000", "QueryID: 10000000000000001").body,
            ));
        }
    }

    /// Passes on a message of PostgreSQL's.
    pub async fn pass_on(&mut self, message: Message) -> io::Result<()> {
        let message = match message.tag {
            b'C' => self.tag(message),
            b'E' => {
                let (code, text) = message.error_parts();
                self.last_code.clone_from(&code);
                let original = Refusal::new(code, text);
                let said = rewritten(original.clone());
                if said == original { message } else { Message::error("ERROR", &said.code, &said.message) }
            }
            _ => message,
        };
        self.client.push(&message);
        self.client.flush_if_full().await
    }

    /// Runs a query of our own in the client's session; the client sees nothing of it.
    pub async fn silent(&mut self, sql: &str) -> Result<Answer, Stop> {
        self.backend.push(&Message::query(sql));
        self.drained().await
    }

    /// Locks a table between the client's own messages. A simple query would drop the unnamed statement.
    async fn lock_table(&mut self, table: &str) -> Result<(), Stop> {
        let name = "standin lock\0";
        for (tag, body) in [
            (b'P', format!("{name}LOCK TABLE {table} IN EXCLUSIVE MODE\0\0\0")),
            (b'B', format!("{name}{name}\0\0\0\0\0\0")),
            (b'E', format!("{name}\0\0\0\0")),
            (b'C', format!("P{name}")),
            (b'C', format!("S{name}")),
            (b'H', String::new()),
        ] {
            self.backend.push(&Message::new(tag, body.into_bytes()));
        }
        let mut is_portal_closed = false;
        loop {
            match self.answer().await?.tag {
                b'3' if is_portal_closed => return Ok(()),
                b'3' => is_portal_closed = true,
                b'E' => {
                    self.backend.push(&Message::new(b'S', Vec::new()));
                    self.drained().await?;
                    return Err(Refusal::new("55P03", "Cannot acquire lock in time, current owners").into());
                }
                _ => {}
            }
        }
    }

    /// Everything up to ReadyForQuery, kept from the client.
    pub async fn drained(&mut self) -> Result<Answer, Stop> {
        let mut answer = Answer::default();
        let mut refused = None;
        loop {
            let message = self.answer().await?;
            match message.tag {
                b'Z' => {
                    self.status = message.body.first().copied().unwrap_or(b'I');
                    return refused.map_or(Ok(answer), |refusal| Err(Stop::Refused(refusal)));
                }
                b'E' => {
                    let (code, text) = message.error_parts();
                    refused = Some(rewritten(Refusal::new(code, text)));
                }
                b'C' => {
                    let text = message.body.strip_suffix(b"\0").unwrap_or(&message.body);
                    answer.tag = String::from_utf8_lossy(text).into_owned();
                }
                b'D' => answer.values.extend(first_value(&message.body)),
                _ => {}
            }
        }
    }

    /// Tells the client of a refusal; a transaction fails with it, as it would if PostgreSQL had refused.
    pub async fn refuse(&mut self, refusal: &Refusal, is_extended: bool) -> io::Result<()> {
        if (self.status == b'T' || is_extended)
            && let Err(Stop::Closed(error)) = self.silent("SELECT 1/0").await
        {
            return Err(error);
        }
        self.client.push(&Message::error("ERROR", &refusal.code, &refusal.message));
        Ok(())
    }

    pub async fn table(&mut self, parts: &[String]) -> Result<Option<Table>, Stop> {
        let side = self.side().await?;
        let table = side.table(parts).await;
        self.side = Some(side);
        Ok(table?)
    }

    /// The session beside this one; whoever takes it puts it back.
    pub async fn side(&mut self) -> Result<Side, Stop> {
        let mut side = match self.side.take().filter(|side| !side.client.is_closed()) {
            Some(side) => side,
            None => {
                let identity = &self.identity;
                Side::open(&self.shared.database, &identity.user, &identity.database).await?
            }
        };
        side.apply(&self.followed).await?;
        Ok(side)
    }
}

fn first_value(row: &[u8]) -> Option<String> {
    let size = row.get(2..6)?;
    let size = usize::try_from(i32::from_be_bytes([size[0], size[1], size[2], size[3]])).ok()?;
    Some(String::from_utf8_lossy(row.get(6..6 + size)?).into_owned())
}
