//! The one table of what a server's refusal means; the first rule that fits wins.
//!
//! SQLSTATEs are those of PostgreSQL (appendix A, "Error Codes"), which Hologres shares and adds class HG to. Its
//! engine reports most of its own troubles as XX000, so that only the text tells them apart; the texts are those
//! that the vendor's client looks for (holo-client, `HoloClientException`) or its help pages name.

use crate::error::{Class, RETRY_MAX_DEFAULT, RETRY_PAUSE_DEFAULT_MS};

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The connection broke, or a node of the server lost another one.
    Connection,
    /// The server stops or starts.
    Restart,
    /// No connection is left.
    TooManyConnections,
    /// The server has no resources for this now, or its shards are not ready.
    Busy,
    /// The server's engine timed out inside, or pushed back.
    Overload,
    /// The server asks for the statement again.
    NeedRetry,
    /// Nothing may be written now, or here.
    ReadOnly,
    /// The table's definition changed, or not every node knows it yet.
    StaleMeta,
    /// Another session holds the rows.
    Lock,
    /// The statement was cancelled.
    Timeout,
    /// The statement needs more memory than it may have.
    Memory,
    /// The disk is full.
    DiskFull,
    /// User and password do not fit.
    Authentication,
    /// The AKv4 password is not of this day.
    ExpiredPassword,
    /// This address may not connect.
    AllowList,
    /// A right is missing.
    Permission,
    /// There is no such table, database, schema or function.
    NoSuchTable,
    /// The table's definition does not serve.
    Definition,
    /// No partition takes the row.
    NoPartition,
    /// A row is to blame.
    Row,
    /// The server does not do this: another write path may.
    NotSupported,
    /// holoload sent what it should not have.
    LoaderBug,
    /// An error inside the server that says no more.
    Internal,
    /// Anything else.
    Unknown,
}

/// Which SQLSTATEs a rule is about.
#[derive(Clone, Copy)]
pub(super) enum Codes {
    /// Every one.
    Any,
    /// These: five characters, or the two of a whole class.
    Of(&'static [&'static str]),
    /// Those of no known class, which a trigger has made up.
    MadeUp,
}

/// One line of the table.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    pub(super) kind: Kind,
    pub(super) class: Class,
    pub(super) codes: Codes,
    /// One of these must fit the text (see [`fits`]); empty: any text will do.
    pub(super) says: &'static [&'static str],
    /// Further attempts inside one invocation.
    pub(super) retry_max: u32,
    /// Before the first of them; doubled for each further one.
    pub(super) pause_ms: u64,
    /// `{ip}` stands for the address that the server saw.
    pub(super) hint: &'static str,
}

impl Rule {
    const fn of(kind: Kind, class: Class, hint: &'static str) -> Self {
        let retry_max = if matches!(class, Class::Transient) { RETRY_MAX_DEFAULT } else { 0 };
        let pause_ms = RETRY_PAUSE_DEFAULT_MS;
        Self { kind, class, codes: Codes::Any, says: &[], retry_max, pause_ms, hint }
    }

    const fn codes(self, codes: &'static [&'static str]) -> Self {
        Self { codes: Codes::Of(codes), ..self }
    }

    const fn made_up(self) -> Self {
        Self { codes: Codes::MadeUp, ..self }
    }

    const fn says(self, says: &'static [&'static str]) -> Self {
        Self { says, ..self }
    }

    const fn retried(self, retry_max: u32, pause_ms: u64) -> Self {
        Self { retry_max, pause_ms, ..self }
    }

    fn is_for(&self, code: &str, unquoted: &str, is_trusted: bool) -> bool {
        let is_code = match self.codes {
            Codes::Any => true,
            Codes::Of(codes) => codes.iter().any(|one| code.starts_with(one)),
            Codes::MadeUp => is_made_up(code),
        };
        if !is_code || self.says.is_empty() {
            return is_code;
        }
        // A rule that names its SQLSTATEs knows what the server says with them.
        let is_trusted = is_trusted || matches!(self.codes, Codes::Of(_));
        is_trusted && self.says.iter().any(|pattern| fits(unquoted, pattern))
    }
}

const ROW_HINT: &str =
    "a constraint that is deferred to the commit refuses some row; were it immediate, the row would be named";
const PARTITION_HINT: &str = "create the partition that the row belongs to (`CREATE TABLE … PARTITION OF … FOR VALUES IN (…)`), or set \
     `write: {partitions: create}`";
const NO_PARTITION: &[&str] =
    &["^no partition of relation \"\" found for row$", "The specified partition does not exist"];
const LOGIN_HINT: &str = "check HOLOLOAD_USER and HOLOLOAD_PASSWORD (or the secret); for Hologres: AccessKey ID and AccessKey Secret, or a \
     `BASIC$` account";
const CHANGED_HINT: &str = "the table changed or is missing; check its name and columns, then load again";
const STALE_HINT: &str =
    "the table was changed, truncated or renamed a moment ago; try again once that is over";
const UNSUPPORTED_HINT: &str = "the server does not support this for the table";
const MEMORY_HINT: &str = "the statement needs more memory than the server gives it; load fewer objects at once, or give the instance more \
     compute units";
const BUSY_HINT: &str = "the server is busy or recovers; try again";

const TOO_MANY_HINT: &str = "the server has no connection left; lower the function's maximum concurrency (the template's `MaxLoaders`); on \
     Hologres `select instance_max_connections()` tells how many there are";
const INTERNAL_HINT: &str = "the server reports an internal error; look at its log";

/// The table.
pub(super) static RULES: &[Rule] = &[
    // These quote the key bare, so they come before every other text.
    Rule::of(Kind::Row, Class::Input, ROW_HINT).says(&[
        "Update row with Key …multiple times",
        "Duplicate keys detected when building hash table",
        "violates partition constraint",
    ]),
    // What is said at the door. The allow-list's SQLSTATE is not documented.
    Rule::of(
        Kind::AllowList,
        Class::Access,
        "Hologres saw {ip}, which is not on its allow-list: add it in HoloWeb (Security Center > IP Address Whitelist)",
    )
    .says(&["ip white list"]),
    Rule::of(
        Kind::AllowList,
        Class::Access,
        "the server's pg_hba.conf must let encrypted connections only in",
    )
    .codes(&["28"])
    // Before PostgreSQL 14 the server said "SSL off".
    .says(&["no pg_hba.conf entry …no encryption", "no pg_hba.conf entry …SSL off"]),
    Rule::of(Kind::AllowList, Class::Access, "the server's pg_hba.conf must let this address and user in")
        .codes(&["28"])
        .says(&["no pg_hba.conf entry"]),
    Rule::of(
        Kind::ExpiredPassword,
        Class::Transient,
        "the AKv4 password is made for one day (UTC): if this stays, put this machine's clock right",
    )
    .codes(&["28P01"])
    .says(&["Invalid expire_time"]),
    Rule::of(Kind::Authentication, Class::Access, LOGIN_HINT).codes(&["28"]),
    Rule::of(Kind::Authentication, Class::Access, LOGIN_HINT)
        .says(&["^role \"\" does not exist$", "Cloud authentication failed for access id"]),
    // Ours to mend.
    Rule::of(Kind::LoaderBug, Class::Bug, "the statement is too long for the server; please report this")
        .says(&["query length …exceeded the maximum"]),
    Rule::of(Kind::LoaderBug, Class::Bug, "rows cannot be written in a transaction here; please report this")
        .says(&["INSERT in …transaction is not supported"]),
    Rule::of(
        Kind::LoaderBug,
        Class::Bug,
        "the rows were sent in a form that the server cannot read; please report this",
    )
    .codes(&["22P04"]),
    // Rows.
    Rule::of(Kind::NoPartition, Class::Input, PARTITION_HINT).codes(&["23514"]).says(NO_PARTITION),
    Rule::of(Kind::NoPartition, Class::Input, PARTITION_HINT).says(NO_PARTITION),
    // Data exceptions, integrity violations, a key twice in one statement, a value no cast accepts, a name that is none; a
    // trigger's exception (`P0001`, `P0004`…), and a value too long for an index (`54000`). The hint is for constraints
    // that are deferred to the commit; elsewhere the row is named instead.
    Rule::of(Kind::Row, Class::Input, ROW_HINT)
        .codes(&["22", "23", "P0", "21000", "42602", "44000", "54000"]),
    Rule::of(Kind::Row, Class::Input, ROW_HINT).made_up(),
    // The table is not what it was. `Invalid table id` comes with 42P01 (holo-client).
    Rule::of(Kind::StaleMeta, Class::Transient, STALE_HINT).says(&[
        "Invalid table id",
        "Refresh meta timeout",
        "mismatches the version of the table",
        "could not open relation with OID",
        "replay not finished yet",
        "Table not found, table id",
        "fail to execute query Table not found",
    ]),
    Rule::of(Kind::StaleMeta, Class::Transient, STALE_HINT)
        .codes(&["0A000"])
        .says(&["^cached plan must not change result type"]),
    Rule::of(Kind::StaleMeta, Class::Config, CHANGED_HINT).codes(&["42703"]).retried(1, RETRY_PAUSE_DEFAULT_MS),
    // What another write path may do.
    Rule::of(Kind::NotSupported, Class::Config, UNSUPPORTED_HINT).says(&[
        "Could not generate fixed plan",
        "can support just one set-returned function",
        "insert into parent table",
        "Feature not supported",
        "Not support",
    ]),
    Rule::of(Kind::NotSupported, Class::Config, UNSUPPORTED_HINT).codes(&["0A"]),
    // The server's state.
    Rule::of(
        Kind::ReadOnly,
        Class::Transient,
        "the instance is being upgraded or fails over: try again; or it is a secondary (read-only) instance: use the primary's \
         endpoint",
    )
    .says(&["not allowed in readonly mode"])
    .retried(3, 1_000),
    Rule::of(
        Kind::ReadOnly,
        Class::Config,
        "the server is read-only; use the address of the primary instance",
    )
    .codes(&["25006"]),
    Rule::of(Kind::TooManyConnections, Class::Transient, TOO_MANY_HINT).codes(&["53300"]).retried(3, 2_000),
    Rule::of(Kind::TooManyConnections, Class::Transient, TOO_MANY_HINT)
        .says(&["too many clients already", "remaining connection slots are reserved"])
        .retried(3, 2_000),
    Rule::of(Kind::Memory, Class::Transient, MEMORY_HINT).codes(&["53200"]).retried(3, 1_000),
    Rule::of(Kind::Memory, Class::Transient, MEMORY_HINT)
        .says(&[
            "Total memory used by all existing queries exceeded memory limitation",
            "query exceed per query memory limitation",
        ])
        .retried(3, 1_000),
    Rule::of(Kind::DiskFull, Class::Config, "the server's disk is full; make room and load again")
        .codes(&["53100"]),
    Rule::of(Kind::Busy, Class::Transient, BUSY_HINT).codes(&["53"]).retried(3, 500),
    Rule::of(Kind::Busy, Class::Transient, BUSY_HINT)
        .says(&[
            "Resource busy",
            "Fail to fetch table group meta from store master",
            "Get rundown is not allowed in recovering state",
            "the workers or shards are unhealthy",
        ])
        .retried(3, 500),
    Rule::of(
        Kind::Busy,
        Class::Transient,
        "the table's shards recover, or this is not the instance that holds them; try again",
    )
    .says(&["shard not ready"])
    .retried(2, 2_000),
    Rule::of(Kind::Overload, Class::Transient, "the server is overloaded; load fewer objects at once, then try again")
        .says(&[
            "ERPC_ERROR_TIMEOUT",
            "kTimedOut",
            // Spelt so by the server.
            "BackPresure Exceed Reject Limit",
            "babysitter …not ready",
            "kActorNotExist",
            "kActorInvokeError",
            "Cannot acquire lock in time, current owners",
            "Connect timeout, err: std_exception: Semaphore timedout",
        ])
        .retried(3, 1_000),
    Rule::of(Kind::Connection, Class::Transient, "the connection broke; the same load can be tried again").says(&[
        "This connection has been closed",
        "kConnectError",
        "Connection refused",
        "ERPC_ERROR_CONNECTION_CLOSED",
    ]),
    Rule::of(Kind::Connection, Class::Transient, "try again").codes(&["08"]),
    Rule::of(Kind::NeedRetry, Class::Transient, "the server asks for another attempt; try again")
        .codes(&["HG"]),
    Rule::of(Kind::Restart, Class::Transient, "the server is restarting; try again")
        .codes(&["57P01", "57P02", "57P03"]),
    Rule::of(
        Kind::Timeout,
        Class::Transient,
        "the statement ran into its timeout; give the function more time, or the table an index less",
    )
    .codes(&["57014"])
    .retried(1, RETRY_PAUSE_DEFAULT_MS),
    Rule::of(Kind::Lock, Class::Transient, "another session held the same rows; try again")
        .codes(&["40001", "40P01", "55P03"]),
    // What is there, and who may.
    Rule::of(
        Kind::NoSuchTable,
        Class::Config,
        "create the database, or correct HOLOLOAD_DATABASE (`target.database`)",
    )
    .codes(&["3D000"]),
    Rule::of(Kind::NoSuchTable, Class::Config, "create the schema, or correct the table's name").codes(&["3F000"]),
    Rule::of(Kind::NoSuchTable, Class::Config, CHANGED_HINT).codes(&["42P01", "42704", "42883"]),
    Rule::of(
        Kind::Permission,
        Class::Access,
        "grant what is missing; `holoload setup` prints the statements a loader needs",
    )
    .codes(&["42501"]),
    Rule::of(
        Kind::Definition,
        Class::Config,
        "the table's primary key does not serve ON CONFLICT; look at its definition",
    )
    .codes(&["42P10"]),
    Rule::of(
        Kind::Definition,
        Class::Config,
        "a column's type has no cast from text; leave the column out of the file",
    )
    .codes(&["42804", "42846"]),
    // The rest.
    Rule::of(Kind::Internal, Class::Transient, INTERNAL_HINT).codes(&["XX"]).retried(1, RETRY_PAUSE_DEFAULT_MS),
    Rule::of(Kind::Internal, Class::Transient, INTERNAL_HINT).codes(&["58"]),
    Rule::of(Kind::Unknown, Class::Bug, "please report this with the SQLSTATE"),
];

/// The rule for a refusal.
///
/// A server's text may quote the row, and the row may say anything. So what stands in quotes is not looked at,
/// and where a row is likely to be quoted bare (data errors, exceptions of triggers) the text counts for nothing,
/// except while connecting: there are no rows yet.
pub(super) fn find(code: &str, text: &str, is_connecting: bool) -> &'static Rule {
    let unquoted = unquoted(text);
    let is_trusted = is_connecting || !is_of_rows(code);
    let found = RULES.iter().find(|rule| rule.is_for(code, &unquoted, is_trusted));
    // The last rule fits everything.
    found.unwrap_or(&RULES[RULES.len() - 1])
}

/// SQLSTATEs with which the text is a row's or a trigger's rather than the server's own.
fn is_of_rows(code: &str) -> bool {
    ["22", "23", "P0", "21", "44"].iter().any(|class| code.starts_with(class)) || is_made_up(code)
}

/// Classes from 5 to 9 and I to Z are left to implementations (SQL:2016, 24.1); those that PostgreSQL does not use are a
/// trigger's own.
fn is_made_up(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    let is_free = class
        .starts_with(|first: char| first.is_ascii_digit() && first > '4' || ('I'..='Z').contains(&first));
    is_free && !matches!(class, "53" | "54" | "55" | "57" | "58" | "72" | "P0" | "XX")
}

/// The text with `""` for everything that stands in double quotes; after a quote that is not closed nothing counts.
fn unquoted(text: &str) -> String {
    let mut parts = text.split('"');
    let mut seen = parts.next().unwrap_or_default().to_owned();
    while let Some(_quoted) = parts.next() {
        seen.push_str("\"\"");
        seen.push_str(parts.next().unwrap_or_default());
    }
    seen
}

/// Whether the parts of a pattern, which `…` separates, stand in the text in this order; `^` and `$` are its ends.
fn fits(text: &str, pattern: &str) -> bool {
    let (pattern, from_start) = pattern.strip_prefix('^').map_or((pattern, false), |rest| (rest, true));
    let (pattern, to_end) = pattern.strip_suffix('$').map_or((pattern, false), |rest| (rest, true));
    let mut rest = text;
    for (at, part) in pattern.split('…').enumerate() {
        let Some((before, after)) = rest.split_once(part) else { return false };
        if at == 0 && from_start && !before.is_empty() {
            return false;
        }
        rest = after;
    }
    !to_end || rest.is_empty()
}

#[cfg(test)]
mod tests;
