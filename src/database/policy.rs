//! What a refusal of the server means: class and hint by SQLSTATE, in one place.
//!
//! A server's error text may quote the row, so of it only SQLSTATE, severity, table, column and constraint go
//! on; the text itself is handed out for the reject object alone. SQLSTATEs are those of PostgreSQL
//! (appendix A, "Error Codes"), which Hologres shares.

use std::fmt;

use tokio_postgres::error::DbError;

use crate::error::{Class, Error, causes};

/// The part of a server's error that may be seen.
#[derive(Clone, Debug)]
struct Refusal {
    severity: String,
    code: String,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {} {}", self.severity, self.code)?;
        let name = condition(&self.code);
        if !name.is_empty() {
            write!(f, " ({name})")?;
        }
        for (what, value) in
            [("table", &self.table), ("column", &self.column), ("constraint", &self.constraint)]
        {
            if let Some(value) = value {
                write!(f, ", {what} `{value}`")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

/// An error of the database, and what may be said of it where.
#[derive(Debug)]
pub struct Failure {
    /// For logs, answers and the ledger.
    pub error: Error,
    /// The server's own words; they may quote the row, so they belong in the reject object alone.
    pub server_text: Option<String>,
    /// One row (or several) of the batch is to blame; the others may still go in.
    pub is_row_fault: bool,
}

impl Failure {
    /// The server does not have what was asked for.
    pub fn steps_down(&self) -> bool {
        matches!(self.error.code(), Some(code) if code.starts_with("0A"))
    }

    /// The server says no more than that something went wrong inside.
    pub fn is_internal(&self) -> bool {
        self.error.code() == Some("XX000")
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Classes an error met after the connection stood.
pub(super) fn failure(action: &str, source: tokio_postgres::Error) -> Failure {
    if let Some(refused) = source.as_db_error() {
        return of_server(action, refused);
    }
    let lost = source.is_closed() || chain_has::<std::io::Error>(&source);
    let class = if lost { Class::Transient } else { Class::Bug };
    let hint =
        if lost { "the connection broke; the same load can be tried again" } else { "please report this" };
    let error = Error::new(class, action).with_source(source).with_hint(hint);
    Failure { error, server_text: None, is_row_fault: false }
}

fn of_server(action: &str, refused: &DbError) -> Failure {
    let code = refused.code().code();
    let (class, hint) = verdict(code);
    let seen = Refusal {
        severity: refused.severity().to_owned(),
        code: code.to_owned(),
        table: refused.table().map(str::to_owned),
        column: refused.column().map(str::to_owned),
        constraint: refused.constraint().map(str::to_owned),
    };
    let mut text = refused.message().to_owned();
    if let Some(detail) = refused.detail() {
        text.push_str("; ");
        text.push_str(detail);
    }
    let mut error = Error::new(class, action).with_code(code.to_owned()).with_source(seen);
    if let Some(hint) = hint {
        error = error.with_hint(hint);
    }
    Failure { error, server_text: Some(text), is_row_fault: is_row_fault(code) }
}

/// Classes an error of a statement that writes no rows of an object: what would be a row's fault there is a matter
/// of the settings or the database here.
pub(super) fn failure_beside_rows(action: &str, source: tokio_postgres::Error) -> Error {
    let failure = failure(action, source);
    if !failure.is_row_fault {
        return failure.error;
    }
    let hint = "the database refuses what holoload itself needs; the SQLSTATE says what";
    failure.error.reclassed(Class::Config).with_hint(hint)
}

/// Data exceptions, integrity violations, a key twice in one statement, a value no cast accepts; a trigger's
/// exception (`P0001`, `P0004`…), and a value too long for an index (`54000`).
fn is_row_fault(code: &str) -> bool {
    let is_data = ["22", "23", "P0"].iter().any(|class| code.starts_with(class));
    is_data || matches!(code, "21000" | "44000" | "54000") || is_made_up(code)
}

/// Classes from 5 to 9 and I to Z are left to implementations (SQL:2016, 24.1); those that PostgreSQL does not use are a
/// trigger's own.
fn is_made_up(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    let is_free = class
        .starts_with(|first: char| first.is_ascii_digit() && first > '4' || ('I'..='Z').contains(&first));
    is_free && !matches!(class, "53" | "54" | "55" | "57" | "58" | "72" | "P0" | "XX")
}

fn verdict(code: &str) -> (Class, Option<&'static str>) {
    match code {
        "40001" | "40P01" | "55P03" => {
            (Class::Transient, Some("another session held the same rows; try again"))
        }
        "57014" => (
            Class::Transient,
            Some(
                "the statement ran into its timeout; give the function more time, or the table an index less",
            ),
        ),
        "57P01" | "57P02" | "57P03" => (Class::Transient, Some("the server is restarting; try again")),
        "53300" => (
            Class::Transient,
            Some("the server has no connection left; lower the function's maximum concurrency"),
        ),
        "53100" => (Class::Config, Some("the server's disk is full; make room and load again")),
        "25006" => (Class::Config, Some("the server is read-only; use the address of the primary instance")),
        "28P01" | "28000" => (
            Class::Access,
            Some(
                "check HOLOLOAD_USER and HOLOLOAD_PASSWORD (or the secret); for Hologres: AccessKey ID and AccessKey Secret, or a `BASIC$` account",
            ),
        ),
        "3D000" => {
            (Class::Config, Some("create the database, or correct HOLOLOAD_DATABASE (`target.database`)"))
        }
        "3F000" => (Class::Config, Some("create the schema, or correct the table's name")),
        "42P01" | "42703" | "42704" | "42883" => (
            Class::Config,
            Some("the table changed or is missing; check its name and columns, then load again"),
        ),
        "42501" => (
            Class::Access,
            Some("grant what is missing; `holoload setup` prints the statements a loader needs"),
        ),
        "42P10" => (
            Class::Config,
            Some("the table's primary key does not serve ON CONFLICT; look at its definition"),
        ),
        "42804" | "42846" => {
            (Class::Config, Some("a column's type has no cast from text; leave the column out of the file"))
        }
        _ if code.starts_with("08") || code.starts_with("53") => (Class::Transient, Some("try again")),
        // The hint is for constraints that are deferred to the commit; elsewhere the row is named instead.
        _ if is_row_fault(code) => (
            Class::Input,
            Some(
                "a constraint that is deferred to the commit refuses some row; were it immediate, the row would be named",
            ),
        ),
        _ if code.starts_with("0A") => {
            (Class::Config, Some("the server does not support this for the table"))
        }
        _ if code.starts_with("XX") || code.starts_with("58") => {
            (Class::Transient, Some("the server reports an internal error; look at its log"))
        }
        _ => (Class::Bug, Some("please report this with the SQLSTATE")),
    }
}

fn condition(code: &str) -> &'static str {
    match code {
        "21000" => "cardinality_violation",
        "22001" => "string_data_right_truncation",
        "22003" => "numeric_value_out_of_range",
        "22P02" => "invalid_text_representation",
        "23502" => "not_null_violation",
        "23503" => "foreign_key_violation",
        "23505" => "unique_violation",
        "23514" => "check_violation",
        "28000" => "invalid_authorization_specification",
        "28P01" => "invalid_password",
        "3D000" => "invalid_catalog_name",
        "40001" => "serialization_failure",
        "40P01" => "deadlock_detected",
        "42501" => "insufficient_privilege",
        "42P01" => "undefined_table",
        "42703" => "undefined_column",
        "53300" => "too_many_connections",
        "55P03" => "lock_not_available",
        "57014" => "query_canceled",
        "57P01" => "admin_shutdown",
        _ => "",
    }
}

/// Classes an error met while connecting to `address`.
pub(super) fn connect_failure(address: &str, source: tokio_postgres::Error) -> Error {
    let action = format!("connect to {address}");
    if let Some(refused) = source.as_db_error() {
        return connect_refusal(&action, refused);
    }
    let text = causes(&source);
    if text.contains("server does not support TLS") {
        return Error::access(action)
            .with_source(source)
            .with_hint("the server speaks no TLS: on Hologres switch SSL on (console: instance details > Network Information > SSL; it restarts the instance), on PostgreSQL set `ssl = on`. Only `HOLOLOAD_TLS=insecure-plaintext` goes without");
    }
    if text.contains("password missing") {
        return Error::config(action)
            .with_source(source)
            .with_hint("the server asks for a password: set HOLOLOAD_PASSWORD or HOLOLOAD_SECRET");
    }
    if let Some(hint) = certificate_hint(&text) {
        return Error::access(action).with_source(source).with_hint(hint);
    }
    // A connection that is cut in the middle of the handshake says so without an I/O error.
    let was_cut = chain_has::<std::io::Error>(&source) || text.contains("unexpected EOF");
    if chain_has::<native_tls::Error>(&source) && !was_cut {
        return Error::access(action).with_source(source).with_hint(
            "the TLS handshake failed: TLS 1.2 or newer and a certificate are needed at the other end",
        );
    }
    let hint = if text.contains("resolve") || text.contains("lookup") || text.contains("not known") {
        "the host name does not resolve: check HOLOLOAD_HOST; from AWS only the public Hologres endpoint is reachable"
    } else {
        "no answer at that address: check host and port, and that the way out (security group, NAT gateway) is open"
    };
    Error::transient(action).with_source(source).with_hint(hint)
}

fn connect_refusal(action: &str, refused: &DbError) -> Error {
    let text = refused.message();
    if text.contains("ip white list") {
        let seen = text.split("ip=").nth(1).map(|ip| ip.split([' ', ',', '\n']).next().unwrap_or(ip));
        let seen = seen.unwrap_or("this address");
        return of_server(action, refused).error.with_hint(format!(
            "Hologres saw {seen}, which is not on its allow-list: add it in HoloWeb (Security Center > IP Address Whitelist)"
        )).reclassed(Class::Access);
    }
    if text.contains("no pg_hba.conf entry") {
        // Before PostgreSQL 14 the server said "SSL off".
        let encrypted = if text.contains("no encryption") || text.contains("SSL off") {
            "encrypted connections only"
        } else {
            "this address and user"
        };
        return of_server(action, refused)
            .error
            .with_hint(format!("the server's pg_hba.conf must let {encrypted} in"));
    }
    of_server(action, refused).error
}

fn certificate_hint(text: &str) -> Option<&'static str> {
    if !text.contains("certificate verify failed") && !text.contains("mismatch") {
        return None;
    }
    Some(if text.contains("expired") {
        "the server's certificate has expired: renew it (Hologres: console > instance > SSL, valid for one year)"
    } else if text.contains("not yet valid") {
        "the server's certificate is not valid yet: check the clocks"
    } else if text.contains("ostname mismatch") || text.contains("IP address mismatch") {
        "the certificate names another host: connect by the name it names, or use `HOLOLOAD_TLS=verify-ca` with HOLOLOAD_CA"
    } else {
        "the certificate is not signed by a CA that is trusted here: set HOLOLOAD_CA to the server's CA certificate (Hologres: download it from the instance's SSL settings)"
    })
}

fn chain_has<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.is::<E>() {
            return true;
        }
        next = cause.source();
    }
    false
}
