//! What was said: environment and YAML, read and checked for form, not yet for meaning.
//!
//! The door fetches the bytes; this room knows no files. Unknown keys are errors that name the nearest known
//! one, `${VAR}` is expanded in values. The environment wins over the file for the target, the ledger and the
//! rejects; the route variables make the one route of a configuration that has none.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result, nearest};

mod columns;
mod environment;
mod op;
mod parse;
mod snapshot;
mod yaml;

pub use columns::{ColumnSettings, Drift, FieldRef, Missing, check_type};
pub use environment::{Environment, VARIABLES};
pub use op::OpSettings;
pub use parse::{
    EmptyLines, ExtraFields, HeaderMatch, HeaderRule, MissingFields, Newline, ParseSettings, RecordEnd,
    StrayQuotes, Trim,
};
pub use snapshot::{Removal, Scope};

/// A text that must not be seen: passwords.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// TLS, the certificate's chain and host name verified.
    #[default]
    VerifyFull,
    /// TLS, the certificate must be signed by the given CA; the host name is not compared.
    VerifyCa,
    /// TLS, whoever is at the other end.
    Require,
    /// No TLS.
    InsecurePlaintext,
}

/// How user and password are shown to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoginMode {
    /// As they are.
    #[default]
    Plain,
    /// An AccessKey by a password of the day that is made from it: the AccessKey Secret stays here.
    Akv4,
    /// AKv4; plain where the server does not take it.
    Auto,
}

/// The database to load into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database; `db@warehouse` is passed through.
    pub database: String,
    /// User: AccessKey ID, `BASIC$name`, or a PostgreSQL role.
    pub user: String,
    /// Where the password comes from.
    pub password: PasswordSource,
    /// How both are shown to the server.
    pub login: LoginMode,
    /// Alibaba Cloud region of the instance, where the host name does not tell it.
    pub region: Option<String>,
    /// Protection of the connection.
    pub tls: TlsMode,
    /// A PEM text, or the path of one.
    pub ca: Option<String>,
    /// Time zone in which times without zone are read.
    pub timezone: String,
}

/// Where the password comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSource {
    /// Written in the settings.
    Given(Secret),
    /// ARN or name of a Secrets Manager secret that holds `{"username", "password"}`.
    SecretsManager(String),
    /// Nowhere: the server must let the user in without.
    None,
}

/// How rows meet rows that are already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteMode {
    /// Insert, or update the columns that the file has.
    #[default]
    Upsert,
    /// Insert, or leave the row as it is.
    Ignore,
    /// Insert, or make the row what the file says: columns it lacks get their default.
    Replace,
    /// Insert; a key that exists is an error.
    Insert,
    /// Make the rows of the object, or the table, exactly what the file says.
    Snapshot,
}

impl WriteMode {
    /// The word in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Ignore => "ignore",
            Self::Replace => "replace",
            Self::Insert => "insert",
            Self::Snapshot => "snapshot",
        }
    }
}

/// How rows get into the table. Reports name the path that was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WritePath {
    /// Hologres: `COPY … (STREAM_MODE TRUE, FORMAT binary, ON_CONFLICT …)`, one for each settled batch; row locks.
    FixedCopy,
    /// Hologres: one `COPY … (FORMAT csv)` for the whole object; atomic, locks the table.
    BulkCopy,
    /// `INSERT … SELECT unnest($1::T[]), …`, whole columns bound as arrays.
    Unnest,
    /// `INSERT … VALUES ($1, …), …`, every value bound by itself.
    Values,
    /// The same, one row in each statement.
    SingleRow,
}

impl WritePath {
    /// All of them, fastest first.
    pub const ALL: [Self; 5] = [Self::FixedCopy, Self::BulkCopy, Self::Unnest, Self::Values, Self::SingleRow];

    /// The word in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::FixedCopy => "fixed_copy",
            Self::BulkCopy => "bulk_copy",
            Self::Unnest => "unnest",
            Self::Values => "values",
            Self::SingleRow => "single_row",
        }
    }
}

/// What becomes of a row whose partition does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartitionRule {
    /// The object fails with the statement that helps.
    #[default]
    Require,
    /// The partition is created.
    Create,
}

/// How many bad rows an object may have.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BadRows {
    /// More than this many and the object fails.
    #[serde(default)]
    pub max: Option<u64>,
    /// A larger share of the rows, in percent, and the object fails; looked at from 100 rows on.
    #[serde(default)]
    pub max_percent: Option<f64>,
}

/// How rows are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WriteSettings {
    /// What happens where a key exists.
    pub mode: WriteMode,
    /// The object's rows appear together or not at all.
    pub atomic: Option<bool>,
    /// `auto`, or a write path by name.
    pub path: Option<String>,
    /// Missing partitions.
    pub partitions: PartitionRule,
    /// A column: of two rows with one key the one with the greater value in it stays, whichever comes first.
    pub newer_by: Option<String>,
    /// The field that says of each row whether it was inserted, updated or deleted.
    #[serde(deserialize_with = "op::op")]
    pub op: Option<OpSettings>,
    /// A column that marks deleted rows, which then stay.
    pub soft_delete: Option<String>,
    /// Snapshots: which rows the object replaces.
    pub scope: Option<Scope>,
    /// Snapshots: what becomes of a removed object's rows.
    pub on_removed: Option<Removal>,
}

/// Which objects go into which table, and how.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// Glob over addresses (`s3://bucket/key`, or local paths).
    pub object: String,
    /// `table` or `schema.table`.
    pub table: String,
    /// How bytes become records.
    #[serde(default)]
    pub parse: ParseSettings,
    /// Columns of the table, by name: what fills them, and by which rules.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnSettings>,
    /// Fields that go nowhere, on purpose.
    #[serde(default)]
    pub drop: Vec<FieldRef>,
    /// A `json` or `jsonb` column that takes, as one object, the fields that the table has no column for.
    #[serde(default)]
    pub extras: Option<String>,
    /// Columns that the file has no field for.
    #[serde(default)]
    pub missing: Missing,
    /// Fields that the table has no column for.
    #[serde(default)]
    pub drift: Drift,
    /// How rows are written.
    #[serde(default)]
    pub write: WriteSettings,
    /// How many bad rows are put up with.
    #[serde(default)]
    pub bad_rows: Option<BadRows>,
}

impl RouteSettings {
    /// A route from its members; what is left out is as in a file that leaves it out.
    ///
    /// # Errors
    /// `Config` for members of the wrong form.
    pub fn read(said: &Value) -> Result<Self> {
        Self::deserialize(said).map_err(|source| Error::config(format!("read the route: {source}")))
    }
}

/// What becomes of an object that no route matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unmatched {
    /// It is ignored, with a reason.
    #[default]
    Ignore,
    /// It fails.
    Fail,
}

/// Everything that was said.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The database; absent when nothing named a host.
    pub target: Option<Target>,
    /// The ledger table as written; `None` when it is `off`.
    pub ledger: Option<String>,
    /// `s3://bucket/prefix/` or a directory.
    pub rejects: Option<String>,
    /// First match wins.
    pub routes: Vec<RouteSettings>,
    /// What becomes of the rest.
    pub unmatched: Unmatched,
    /// Answer an object whose content failed as done.
    pub acknowledge_failed: bool,
    /// ARN of the queue that takes what is too much for one invocation.
    pub queue: Option<String>,
    /// Things worth telling that are no errors.
    pub warnings: Vec<String>,
}

/// The ledger table unless something else is said.
pub const LEDGER_DEFAULT: &str = "public.holoload_ledger";

impl Settings {
    /// Reads `yaml`, if there is one, and lays `environment` over it.
    ///
    /// # Errors
    /// `Config`, for YAML that does not parse, unknown keys and values of the wrong form.
    pub fn read(yaml: Option<&str>, environment: &Environment) -> Result<Self> {
        let mut said = match yaml {
            Some(text) => expand_all(parse_yaml(text)?, environment)?,
            None => Map::new(),
        };
        let mut warnings = Vec::new();
        environment.lay_over(&mut said, &mut warnings)?;
        environment.check_s3_style()?;
        let file: File = from_value(Value::Object(said))?;
        Ok(Self { queue: environment.queue()?, ..file.into_settings(warnings)? })
    }

    /// The target, or the error that says how to name one.
    pub fn target(&self) -> Result<&Target> {
        self.target.as_ref().ok_or_else(|| {
            Error::config("no database is named").with_hint(
                "set HOLOLOAD_HOST, HOLOLOAD_DATABASE and HOLOLOAD_USER, or `target:` in HOLOLOAD_CONFIG",
            )
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    target: Option<TargetFile>,
    ledger: Option<Value>,
    rejects: Option<String>,
    #[serde(default)]
    routes: Vec<RouteSettings>,
    #[serde(default)]
    unmatched: Unmatched,
    #[serde(default)]
    acknowledge_failed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetFile {
    host: Option<String>,
    port: Option<Value>,
    database: Option<String>,
    user: Option<String>,
    password: Option<Secret>,
    secret: Option<String>,
    #[serde(default)]
    login: LoginMode,
    region: Option<String>,
    #[serde(default)]
    tls: TlsMode,
    ca: Option<String>,
    timezone: Option<String>,
}

impl File {
    fn into_settings(self, warnings: Vec<String>) -> Result<Settings> {
        let ledger = match self.ledger {
            None => Some(LEDGER_DEFAULT.to_owned()),
            Some(Value::Bool(false)) => None,
            Some(Value::String(name)) if name == "off" => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err(Error::config("`ledger` must be a table name or `off`")),
        };
        let target = self.target.map(TargetFile::into_target).transpose()?;
        self.routes.iter().try_for_each(|route| columns::check(&route.columns))?;
        Ok(Settings {
            target,
            ledger,
            rejects: self.rejects.filter(|address| !address.is_empty()),
            routes: self.routes,
            unmatched: self.unmatched,
            acknowledge_failed: self.acknowledge_failed,
            queue: None,
            warnings,
        })
    }
}

impl TargetFile {
    fn into_target(self) -> Result<Target> {
        let need = |value: Option<String>, name: &str| {
            value.filter(|text| !text.is_empty()).ok_or_else(|| {
                Error::config(format!("`target.{name}` is missing"))
                    .with_hint(format!("set HOLOLOAD_{} or `target.{name}`", name.to_uppercase()))
            })
        };
        let host = need(self.host, "host")?;
        check_host(&host)?;
        let port = match self.port {
            None => default_port(&host),
            Some(value) => port(&value)?,
        };
        let password = match (self.password, self.secret.filter(|secret| !secret.is_empty())) {
            (Some(_), Some(_)) => {
                return Err(Error::config("both a password and a secret are given")
                    .with_hint("keep `secret` (HOLOLOAD_SECRET) and remove the password"));
            }
            (Some(password), None) => PasswordSource::Given(password),
            (None, Some(secret)) => PasswordSource::SecretsManager(secret),
            (None, None) => PasswordSource::None,
        };
        // A secret holds the user name as well.
        let user = match &password {
            PasswordSource::SecretsManager(_) => self.user.unwrap_or_default(),
            _ => need(self.user, "user")?,
        };
        Ok(Target {
            port,
            database: need(self.database, "database")?,
            user,
            password,
            login: self.login,
            region: self.region.filter(|region| !region.is_empty()),
            tls: self.tls,
            ca: self.ca.filter(|ca| !ca.is_empty()),
            timezone: self.timezone.unwrap_or_else(|| "UTC".to_owned()),
            host,
        })
    }
}

/// An address of the kind that other clients take is no name, and would be looked up as one.
fn check_host(host: &str) -> Result<()> {
    let is_url = host.contains('/') && !host.starts_with('/');
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    // More than one colon: an IPv6 address.
    let has_port = !name.contains(':') && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if is_url {
        // It may hold a password.
        return Err(Error::config("`host` is the name of a host, not a URL").with_hint(
            "set HOLOLOAD_HOST, HOLOLOAD_PORT, HOLOLOAD_DATABASE, HOLOLOAD_USER and HOLOLOAD_PASSWORD, each by itself",
        ));
    }
    if has_port {
        return Err(Error::config(format!("`host` is the name of a host alone, not `{host}`"))
            .with_hint(format!("set HOLOLOAD_HOST={name} and HOLOLOAD_PORT={port}")));
    }
    Ok(())
}

/// Hologres endpoints listen on 80 (Hologres help, "Endpoints"), PostgreSQL on 5432.
fn default_port(host: &str) -> u16 {
    if host.ends_with(".hologres.aliyuncs.com") { 80 } else { 5432 }
}

fn port(value: &Value) -> Result<u16> {
    let number = match value {
        Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|port| *port != 0).ok_or_else(|| {
        Error::config("`port` must be a number from 1 to 65535")
            .with_hint("set HOLOLOAD_PORT or `target.port`")
    })
}

/// YAML whose top level is `key: value` lines.
///
/// # Errors
/// `Config`, with the place and never the text.
pub fn parse_yaml(text: &str) -> Result<Map<String, Value>> {
    parse(text, serde_saphyr::Options::default())
}

/// The same where `y`, `no` and `on` are texts: names of columns in files of other programs.
///
/// # Errors
/// `Config`, as above.
pub fn parse_plain_yaml(text: &str) -> Result<Map<String, Value>> {
    parse(text, serde_saphyr::options! { strict_booleans: true })
}

fn parse(text: &str, options: serde_saphyr::Options) -> Result<Map<String, Value>> {
    let yaml::Yaml(value) = serde_saphyr::from_str_with_options(text, options).map_err(|source| {
        // The parser quotes the source around a mistake, which may be a line with a password: keep the place only.
        let place = source
            .location()
            .map_or_else(String::new, |at| format!(" at line {}, column {}", at.line(), at.column()));
        Error::config(format!("read the configuration: not valid YAML{place}")).with_hint(
            "look there, and one line above: indentation is by spaces, brackets and quotes are closed, and a text with `: ` or ` #` in it stands in quotes",
        )
    })?;
    match value {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(Error::config("read the configuration: the top level must be `key: value` lines")),
    }
}

fn expand_all(map: Map<String, Value>, environment: &Environment) -> Result<Map<String, Value>> {
    map.into_iter().map(|(key, value)| Ok((key, expand(value, environment)?))).collect()
}

fn expand(value: Value, environment: &Environment) -> Result<Value> {
    Ok(match value {
        Value::String(text) => Value::String(expand_text(&text, environment)?),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| expand(item, environment)).collect::<Result<_>>()?)
        }
        Value::Object(map) => Value::Object(expand_all(map, environment)?),
        other => other,
    })
}

fn expand_text(text: &str, environment: &Environment) -> Result<String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        expanded.push_str(before);
        let end = from.find('}').ok_or_else(|| Error::config("read the configuration: `${` without `}`"))?;
        let name = &from[2..end];
        let value = environment.get(name).ok_or_else(|| {
            Error::config(format!("read the configuration: the environment has no `{name}`"))
                .with_hint(format!("export {name}, or write the value in place of ${{{name}}}"))
        })?;
        expanded.push_str(value);
        rest = &from[end + 1..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn from_value(value: Value) -> Result<File> {
    serde_path_to_error::deserialize(value).map_err(|source| {
        // Keys and places in lists, never a value.
        let place = match source.path().to_string() {
            path if path == "." => String::new(),
            path => format!(", at `{path}`"),
        };
        let message = source.into_inner().to_string();
        if let Some(wrong) = wrong_type(&message) {
            return Error::config(format!("read the configuration: {wrong}{place}")).with_hint(
                "compare the value's form with the documentation; texts that YAML reads as something else, such as NULL, \
                 yes or 007, need quotes",
            );
        }
        let hint = unknown_field_hint(&message);
        let error = Error::config(format!("read the configuration: {message}{place}"));
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    })
}

/// serde quotes the value between its kind and what was expected; it may be a password.
fn wrong_type(message: &str) -> Option<String> {
    let found = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = found.rsplit_once(", expected ")?;
    let kind = found.split(['"', '`']).next().unwrap_or_default().trim_end();
    let expected = match expected {
        "u64" | "u32" | "usize" => "a whole number from 0 on",
        "a sequence" => "a list",
        form if form == "a map" || form.starts_with("struct ") => "a block of `key: value`",
        other => other,
    };
    Some(format!("found {kind} where {expected} is expected"))
}

/// serde names the unknown key first and the known ones after it, all in backticks.
fn unknown_field_hint(message: &str) -> Option<String> {
    if !message.starts_with("unknown field") && !message.starts_with("unknown variant") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    match nearest(unknown, known.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None => Some(format!("known are {}", known.join(", "))),
    }
}

/// The environment as a map, so that tests need not change the process's own.
pub type Variables = BTreeMap<String, String>;

#[cfg(test)]
mod tests;
