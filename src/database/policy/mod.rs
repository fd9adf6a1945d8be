//! What a refusal of the server means: kind, class, retries and hint, by one table ([`rules`]).
//!
//! A server's error text may quote the row, so of it only SQLSTATE, severity, table, column and constraint go
//! on; the text itself is handed out for the reject object alone.

use std::fmt;
use std::net::IpAddr;

use tokio_postgres::error::DbError;

use crate::error::{Class, Error, causes};

mod rules;

pub use rules::Kind;

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
    /// What it is about.
    pub kind: Kind,
}

impl Failure {
    /// Whether another write path may do what the server does not do this way.
    pub fn steps_down(&self) -> bool {
        self.kind == Kind::NotSupported
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
        return of_server(action, refused, false);
    }
    let lost = source.is_closed() || chain_has::<std::io::Error>(&source);
    let (kind, class, hint) = if lost {
        (Kind::Connection, Class::Transient, "the connection broke; the same load can be tried again")
    } else {
        (Kind::LoaderBug, Class::Bug, "please report this")
    };
    let error = Error::new(class, action).with_source(source).with_hint(hint);
    Failure { error, server_text: None, is_row_fault: false, kind }
}

/// Classes an answer of the server; `is_connecting`: before any row was sent.
fn of_server(action: &str, refused: &DbError, is_connecting: bool) -> Failure {
    let code = refused.code().code();
    let rule = rules::find(code, refused.message(), is_connecting);
    // A trigger's exception names what it likes, a cell for instance.
    let named = |name: Option<&str>| name.filter(|_| !code.starts_with("P0")).map(str::to_owned);
    let seen = Refusal {
        severity: refused.severity().to_owned(),
        code: code.to_owned(),
        table: named(refused.table()),
        column: named(refused.column()),
        constraint: named(refused.constraint()),
    };
    let mut text = refused.message().to_owned();
    if let Some(detail) = refused.detail() {
        text.push_str("; ");
        text.push_str(detail);
    }
    let mut error = Error::new(rule.class, action)
        .with_code(code.to_owned())
        .with_source(seen)
        .with_hint(rule.hint.replace("{ip}", &seen_address(refused.message())))
        .with_retries(rule.retry_max, rule.pause_ms);
    match rule.kind {
        Kind::Timeout | Kind::Memory => error = error.with_smaller_batch(),
        Kind::StaleMeta => error = error.with_stale_table(),
        Kind::Authentication if is_connecting => error = error.with_refused_login(),
        Kind::AllowList => error = error.with_refused_address(),
        _ => {}
    }
    let is_row_fault = matches!(rule.kind, Kind::Row | Kind::NoPartition);
    Failure { error, server_text: Some(text), is_row_fault, kind: rule.kind }
}

/// The address that an allow-list refusal names (`…, ip=203.0.113.7`); nothing else of the text is handed on.
fn seen_address(text: &str) -> String {
    let named = text.rsplit_once("ip=").map(|(_, ip)| ip.split([' ', ',', '\n']).next().unwrap_or(ip));
    let address = named.and_then(|ip| ip.trim_end_matches('.').parse::<IpAddr>().ok());
    address.map_or_else(|| "this address".to_owned(), |ip| ip.to_string())
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

fn condition(code: &str) -> &'static str {
    match code {
        "0A000" => "feature_not_supported",
        "21000" => "cardinality_violation",
        "22001" => "string_data_right_truncation",
        "22003" => "numeric_value_out_of_range",
        "22P02" => "invalid_text_representation",
        "23502" => "not_null_violation",
        "23503" => "foreign_key_violation",
        "23505" => "unique_violation",
        "23514" => "check_violation",
        "25006" => "read_only_sql_transaction",
        "28000" => "invalid_authorization_specification",
        "28P01" => "invalid_password",
        "3D000" => "invalid_catalog_name",
        "40001" => "serialization_failure",
        "40P01" => "deadlock_detected",
        "42501" => "insufficient_privilege",
        "42P01" => "undefined_table",
        "42703" => "undefined_column",
        "53200" => "out_of_memory",
        "53300" => "too_many_connections",
        "55P03" => "lock_not_available",
        "57014" => "query_canceled",
        "57P01" => "admin_shutdown",
        "57P02" => "crash_shutdown",
        "57P03" => "cannot_connect_now",
        "HG000" => "hg_need_retry",
        "HG001" => "hg_plpgsql_need_retry",
        "XX000" => "internal_error",
        _ => "",
    }
}

const NO_TLS_HINT: &str = "the server speaks no TLS: on Hologres switch SSL on (console: instance details > Network Information > SSL; it restarts the instance), on PostgreSQL set `ssl = on`. Only `HOLOLOAD_TLS=insecure-plaintext` goes without";
const HANDSHAKE_HINT: &str =
    "the TLS handshake failed: TLS 1.2 or newer and a certificate are needed at the other end";

/// The server at `address` answered that it speaks no TLS.
pub(super) fn no_tls(address: &str) -> Error {
    Error::access(format!("connect to {address}: the server does not support TLS")).with_hint(NO_TLS_HINT)
}

/// Classes an error of a handshake alone.
pub(super) fn handshake_failure(address: &str, source: native_tls::Error) -> Error {
    let hint = certificate_hint(&causes(&source)).unwrap_or(HANDSHAKE_HINT);
    Error::access(format!("connect to {address}: TLS handshake")).with_source(source).with_hint(hint)
}

/// Classes an error met while connecting to `address`.
pub(super) fn connect_failure(address: &str, source: tokio_postgres::Error) -> Error {
    let action = format!("connect to {address}");
    if let Some(refused) = source.as_db_error() {
        return of_server(&action, refused, true).error;
    }
    let text = causes(&source);
    if text.contains("server does not support TLS") {
        return Error::access(action).with_source(source).with_hint(NO_TLS_HINT);
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
        return Error::access(action).with_source(source).with_hint(HANDSHAKE_HINT);
    }
    let hint = if text.contains("resolve") || text.contains("lookup") || text.contains("not known") {
        "the host name does not resolve: check HOLOLOAD_HOST; from AWS only the public Hologres endpoint is reachable"
    } else {
        "no answer at that address: check host and port, and that the way out (security group, NAT gateway) is open"
    };
    Error::transient(action).with_source(source).with_hint(hint)
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

#[cfg(test)]
mod tests {
    use super::seen_address;

    #[test]
    fn the_address_is_taken_from_the_text_and_nothing_else_is() {
        let seen = |text| seen_address(text);
        assert_eq!(seen("Rejected by ip white list.\ndb = d, usr=u, ip=203.0.113.7"), "203.0.113.7");
        assert_eq!(seen("usr=ip=1.2.3.4, ip=203.0.113.7."), "203.0.113.7");
        assert_eq!(seen("ip=2001:db8::7, more"), "2001:db8::7");
        assert_eq!(seen("ip=a secret"), "this address");
        assert_eq!(seen(""), "this address");
    }
}
