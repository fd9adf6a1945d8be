//! What is meant: settings, table and limits, checked against each other. An invalid plan cannot be built.
//!
//! A [`Planner`] is made once from the settings and knows every route. For an object it gives the [`Route`];
//! with the live table that becomes a [`Plan`], and with the object's first record a [`Layout`]: which field
//! goes into which column.

use std::fmt::Write as _;
use std::sync::Arc;

use captures::Captures;
use globset::{Glob, GlobBuilder, GlobMatcher};
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::decode::Format;
use crate::decode::csv::Dialect;
use crate::decode::json::JsonPath;
use crate::error::{Error, Result, nearest};
use crate::object::ObjectRef;
use crate::row::{Conversion, Rules};
pub use crate::settings::HeaderRule;
use crate::settings::{
    PartitionRule, RouteSettings, Settings, Unmatched, WriteMode, WritePath, WriteSettings,
};
use crate::table::{Kind, Table, TableName};

mod assign;
mod captures;
mod columnar;
mod convert;
mod describe;
mod dialect;
mod layout;
mod mapping;
mod members;
mod names;
mod op;
mod packing;
mod retarget;
mod snapshot;
mod text;

pub use assign::Fate;
pub use columnar::{Picked, PickedColumn};
pub use convert::type_of_rules;
pub use describe::{How, Mapped};
pub use dialect::dialect;
pub use layout::{Fill, First, Layout, Slot};
pub use mapping::Mapping;
pub use members::Members;
pub use op::{OpPlace, Operation};
pub use packing::Packing;
pub use retarget::into_table;
pub use snapshot::{Lineage, Snapshot};

/// Bad rows put up with when there is a place to keep them.
const BAD_ROWS_MAX: u64 = 100;
/// And the share of the rows, in percent.
const BAD_ROWS_MAX_PERCENT: f64 = 10.0;
/// The share is looked at from this many rows on: of three rows one is 33 %.
pub const PERCENT_FROM_ROWS: u64 = 100;

/// How much memory the parts of a load may use; derived from what the function was given, never from the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One record, its terminator included.
    pub record_bytes_max: usize,
    /// Encoded rows in one batch.
    pub batch_bytes_max: usize,
    /// Rows in one batch.
    pub batch_rows_max: usize,
    /// Rejected rows with their reasons, all of one object.
    pub reject_bytes_max: usize,
    /// Pages of a Parquet file, packed and unpacked.
    pub pages_bytes_max: usize,
    /// What a decompressor may look back on; zstd's writers choose it, gzip and bzip2 know less than a megabyte.
    pub window_bytes_max: usize,
}

impl Limits {
    /// The limits for a process that may use `memory_mib`.
    ///
    /// A batch exists up to four times at once (encoded, as arrays, as message, its original bytes), a record
    /// up to three times; the fractions keep their sum below half of the memory.
    pub fn for_memory(memory_mib: u64) -> Self {
        const MIB: usize = 1024 * 1024;
        let bytes = usize::try_from(memory_mib.saturating_mul(1024 * 1024)).unwrap_or(usize::MAX);
        Self {
            record_bytes_max: (bytes / 64).clamp(MIB, 16 * MIB),
            batch_bytes_max: (bytes / 64).clamp(MIB, 2 * MIB),
            // Server time for one row stops falling at about this many rows in one statement.
            batch_rows_max: 10_000,
            reject_bytes_max: (bytes / 16).clamp(MIB, 64 * MIB),
            pages_bytes_max: (bytes / 4).clamp(16 * MIB, 1024 * MIB),
            window_bytes_max: (bytes / 8).clamp(8 * MIB, 128 * MIB),
        }
    }
}

impl Limits {
    /// The same with batches a quarter as large, so many times over; never less than a row.
    #[must_use]
    pub fn with_smaller_batches(self, times: u32) -> Self {
        let divisor = 4_usize.saturating_pow(times);
        Self {
            batch_bytes_max: (self.batch_bytes_max / divisor).max(1),
            batch_rows_max: (self.batch_rows_max / divisor).max(1),
            ..self
        }
    }
}

/// Every route, compiled and checked.
#[derive(Debug)]
pub struct Planner {
    routes: Vec<Arc<Route>>,
    unmatched: Unmatched,
    zone: TimeZone,
    limits: Limits,
}

/// Which objects go into which table, and how.
#[derive(Clone, Debug)]
pub struct Route {
    /// The target table.
    pub table: TableName,
    /// How rows meet rows that are there; those of a snapshot are upserted before others go.
    pub mode: WriteMode,
    /// Which rows an object replaces, where it does.
    pub snapshot: Option<Snapshot>,
    /// Whether an object's rows must appear together; unless said, as the server does it best.
    pub atomic: Option<bool>,
    /// The write path that was asked for by name.
    pub path: Option<WritePath>,
    /// What becomes of a row whose partition does not exist.
    pub partitions: PartitionRule,
    /// The column that tells which of two rows is newer.
    pub newer_by: Option<String>,
    /// The field that marks deleted rows.
    pub operation: Option<Operation>,
    /// Columns that the object itself fills.
    pub columns: Vec<(String, Metadata)>,
    /// Which fields go where.
    pub mapping: Mapping,
    /// How bytes become text.
    pub packing: Packing,
    /// How text becomes records.
    pub dialect: Dialect,
    /// The same for objects that have tabs by their name or type.
    pub tab_dialect: Dialect,
    /// What the objects' format is, where the route says it.
    pub format: Option<Format>,
    /// Where in a JSON document the records are.
    pub root: JsonPath,
    /// Whether the first record is a header.
    pub header: HeaderRule,
    /// How fields are read; zone and resolution of times are the load's to say.
    pub rules: Rules,
    /// How values of single columns are read, by their names.
    pub conversions: Vec<(String, Conversion)>,
    /// More bad rows and the object fails.
    pub bad_rows_max: u64,
    /// A larger share, in percent, and the object fails.
    pub bad_rows_max_percent: f64,
    captures: Option<Captures>,
    glob: String,
    matcher: GlobMatcher,
    fingerprint: String,
}

/// What an object knows of itself, fit to fill a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// The key, decoded.
    Key,
    /// The bucket.
    Bucket,
    /// The version of a versioned bucket, else the `ETag`.
    Version,
    /// The canonical sequencer of the event.
    Sequencer,
    /// The line of the file on which the record begins, from 1.
    Line,
    /// When the object was put.
    EventTime,
    /// When this load began.
    LoadedAt,
}

impl Metadata {
    const ALL: [Self; 7] = [
        Self::Key,
        Self::Bucket,
        Self::Version,
        Self::Sequencer,
        Self::Line,
        Self::EventTime,
        Self::LoadedAt,
    ];

    /// The word in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "$key",
            Self::Bucket => "$bucket",
            Self::Version => "$version",
            Self::Sequencer => "$sequencer",
            Self::Line => "$line",
            Self::EventTime => "$event_time",
            Self::LoadedAt => "$loaded_at",
        }
    }

    /// Whether a column of this kind takes it.
    fn fits(self, kind: Kind) -> bool {
        match self {
            Self::Key | Self::Bucket | Self::Version | Self::Sequencer => {
                matches!(kind, Kind::Text | Kind::Varchar { .. })
            }
            Self::Line => matches!(kind, Kind::Int4 | Kind::Int8),
            Self::EventTime | Self::LoadedAt => matches!(kind, Kind::Timestamptz { .. }),
        }
    }
}

/// What the routes say of an object.
pub enum Destination {
    /// It is to be loaded so.
    Route(Arc<Route>),
    /// It is nobody's: the reason.
    Ignored(String),
}

impl Planner {
    /// Compiles and checks all routes.
    ///
    /// # Errors
    /// `Config`, for whatever cannot work: globs, table names, characters, time zones, a rejects address that a
    /// route would match.
    pub fn new(settings: &Settings, limits: Limits) -> Result<Self> {
        let zone_name = settings.target.as_ref().map_or("UTC", |target| target.timezone.as_str());
        let zone = TimeZone::get(zone_name).map_err(|_| {
            Error::config(format!("the time zone `{zone_name}` is not known")).with_hint(
                "use an IANA name such as `Asia/Tokyo` or `UTC` (HOLOLOAD_TIMEZONE, `target.timezone`)",
            )
        })?;
        let has_rejects = settings.rejects.is_some();
        let routes: Vec<Arc<Route>> = settings
            .routes
            .iter()
            .map(|route| Route::new(route, has_rejects, zone_name, limits).map(Arc::new))
            .collect::<Result<_>>()?;
        let planner = Self { routes, unmatched: settings.unmatched, zone, limits };
        captures::refuse_hidden(&planner.routes)?;
        planner.refuse_own_output(settings.rejects.as_deref())?;
        if settings.ledger.is_none() && planner.routes.iter().any(|route| route.snapshot.is_some()) {
            return Err(Error::config(
                "`mode: snapshot` needs the ledger: which version is the newest is kept there",
            )
            .with_hint("leave `ledger: off` (HOLOLOAD_LEDGER) out, or load with `mode: upsert`"));
        }
        Ok(planner)
    }

    /// A reject object that a route matched would be loaded, and rejected, again and again.
    fn refuse_own_output(&self, rejects: Option<&str>) -> Result<()> {
        let Some(address) = rejects.filter(|address| address.starts_with("s3://")) else { return Ok(()) };
        let probes =
            ["csv", "jsonl"].map(|end| format!("{}/bucket/key.{end}", address.trim_end_matches('/')));
        let takes = |route: &&Arc<Route>| probes.iter().any(|probe| route.matcher.is_match(probe));
        let caught = self.routes.iter().find(|route| !route.takes_everything() && takes(route));
        if caught.is_some() {
            return Err(Error::config(format!("the rejects address `{address}` is matched by a route"))
                .with_hint("use another bucket or a prefix that no `object:` glob matches"));
        }
        Ok(())
    }

    /// Where the object goes.
    ///
    /// # Errors
    /// `Config` when nothing matches and that is not allowed, or a capture names no table.
    pub fn destination(&self, object: &ObjectRef) -> Result<Destination> {
        let address = object.address();
        for route in self.routes.iter().filter(|route| route.matcher.is_match(&address)) {
            if let Some(route) = Route::for_address(route, &address)? {
                return Ok(Destination::Route(route));
            }
        }
        if self.routes.is_empty() {
            return Err(Error::config("no table is named")
                .with_hint("set HOLOLOAD_TABLE (--table), or write `routes:`"));
        }
        match self.unmatched {
            Unmatched::Ignore => Ok(Destination::Ignored("no route matches".to_owned())),
            Unmatched::Fail => Err(Error::config(format!("no route matches `{address}`"))
                .with_hint("add a route, or set `unmatched: ignore`")),
        }
    }

    /// Every route, in the order in which they are asked.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// Whether there is no route at all.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Whether the rows of an object that was removed are to be deleted.
    pub fn follows_removal(&self, object: &ObjectRef) -> bool {
        matches!(self.destination(object), Ok(Destination::Route(route)) if route.follows_removals())
    }

    /// The time zone in which times without zone are read.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The limits of every load.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

impl Route {
    fn new(said: &RouteSettings, has_rejects: bool, zone_name: &str, limits: Limits) -> Result<Self> {
        let matcher = glob(&captures::plain_glob(&said.object)?, &said.object)?.compile_matcher();
        let parse = &said.parse;
        let format = text::format(parse)?;
        let packing = Packing::new(&parse.charset, &parse.compression)?;
        let path = said.write.path.as_deref().map_or(Ok(None), write_path)?;
        let dialect = dialect(parse)?;
        let bad_rows = said.bad_rows.as_ref();
        let default_max = if has_rejects { BAD_ROWS_MAX } else { 0 };
        let percent = bad_rows.and_then(|rule| rule.max_percent).unwrap_or(BAD_ROWS_MAX_PERCENT);
        if !(0.0..=100.0).contains(&percent) {
            return Err(Error::config("`bad_rows.max_percent` must be from 0 to 100"));
        }
        let max = bad_rows.and_then(|rule| rule.max).unwrap_or(default_max);
        if max > 0 && !has_rejects {
            return Err(Error::config("bad rows are to be put up with, but there is no place to keep them")
                .with_hint("set HOLOLOAD_REJECTS (`rejects:`) to `s3://bucket/prefix/` or a directory, or `bad_rows: {max: 0}`"));
        }
        let (table, columns) = (TableName::parse(&said.table)?, filled(said)?);
        let snapshot = Snapshot::new(&said.write, &columns, &table)?;
        Ok(Self {
            table,
            mode: if snapshot.is_some() { WriteMode::Upsert } else { said.write.mode },
            snapshot,
            atomic: said.write.atomic,
            path,
            partitions: said.write.partitions,
            newer_by: newer_by(&said.write)?,
            operation: Operation::new(&said.write)?,
            columns,
            mapping: Mapping::new(said)?,
            packing,
            format,
            root: JsonPath::root(&parse.root)?,
            tab_dialect: text::tabbed(parse)?,
            dialect,
            header: parse.header,
            rules: convert::rules(parse),
            conversions: convert::conversions(said)?,
            bad_rows_max: max,
            bad_rows_max_percent: percent,
            captures: Captures::new(said)?,
            glob: said.object.clone(),
            matcher,
            // Whatever can change the verdict about an object, also what is said elsewhere than in the route.
            fingerprint: format!("{said:?}{max}{percent}{zone_name}{limits:?}"),
        })
    }

    /// The glob over addresses, as it was written.
    pub fn glob(&self) -> &str {
        &self.glob
    }

    fn takes_everything(&self) -> bool {
        self.glob() == "**"
    }
}

/// Compiles a glob whose `*` stays within one part of a path; errors show it as it was `written`.
fn glob(text: &str, written: &str) -> Result<Glob> {
    GlobBuilder::new(text)
        .literal_separator(true)
        .build()
        .map_err(|source| Error::config(format!("read the glob `{written}`")).with_source(source))
}

fn only(value: &str, known: &[&str], name: &str) -> Result<()> {
    if known.contains(&value) {
        return Ok(());
    }
    let error = Error::config(format!("`{name}: {value}` is not known"));
    Err(match nearest(value, known.iter().copied()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint(format!("known are {}", known.join(", "))),
    })
}

/// A path by its name; `-` is as good as `_`.
fn write_path(name: &str) -> Result<Option<WritePath>> {
    let name = name.replace('-', "_");
    let mut known = vec!["auto"];
    known.extend(WritePath::ALL.map(WritePath::name));
    only(&name, &known, "path")?;
    Ok(WritePath::ALL.into_iter().find(|path| path.name() == name))
}

fn filled(said: &RouteSettings) -> Result<Vec<(String, Metadata)>> {
    let known = || Metadata::ALL.map(Metadata::name);
    let fill = |(column, word): (&String, &String)| {
        let found = Metadata::ALL.into_iter().find(|one| one.name() == word);
        let metadata = found.ok_or_else(|| {
            let error = Error::config(format!("`columns: {{{column}: {word}}}` is not known"));
            match nearest(word, known()) {
                Some(near) => error.with_hint(format!("did you mean `{near}`?")),
                None => error.with_hint(format!("known are {}", known().join(", "))),
            }
        })?;
        Ok((column.clone(), metadata))
    };
    let words = said.columns.iter().filter_map(|(name, column)| Some((name, column.metadata.as_ref()?)));
    words.map(fill).collect()
}

fn newer_by(write: &WriteSettings) -> Result<Option<String>> {
    let decides = matches!(write.mode, WriteMode::Upsert | WriteMode::Replace);
    if write.newer_by.is_some() && !decides {
        let mode = write.mode.name();
        return Err(Error::config(format!("`newer_by` has nothing to decide in mode `{mode}`"))
            .with_hint("use it with `mode: upsert` or `replace`, or leave it out"));
    }
    Ok(write.newer_by.clone())
}

/// A route and the table it leads to, fit for each other.
#[derive(Debug)]
pub struct Plan {
    /// The route.
    pub route: Arc<Route>,
    /// The table that rows go into.
    pub table: Arc<Table>,
    /// The table that the route names, for which another one may stand in.
    pub target: TableName,
    /// Settings and table in one hash: a verdict about an object holds as long as it is the same.
    pub hash: String,
}

impl Plan {
    /// Puts a route and its table together.
    ///
    /// # Errors
    /// `Config` when the mode needs a primary key that the table has not, or one that is deferrable.
    pub fn new(route: Arc<Route>, table: Arc<Table>) -> Result<Self> {
        // What replaces all rows meets none.
        let is_keyless = route.replaces_table() && table.key.is_none();
        let route =
            if is_keyless { Arc::new(Route { mode: WriteMode::Insert, ..(*route).clone() }) } else { route };
        if route.mode != WriteMode::Insert {
            let mode = route.mode_name();
            match &table.key {
                None => {
                    return Err(Error::config(format!(
                        "table `{}` has no primary key, `{mode}` needs one",
                        table.name
                    ))
                    .with_hint(keyless_hint(&route, &table)));
                }
                Some(key) if key.deferrable => {
                    return Err(Error::config(format!(
                        "the primary key of `{}` is deferrable, `{mode}` cannot use it",
                        table.name
                    ))
                    .with_hint(
                        "make the key NOT DEFERRABLE: ON CONFLICT does not take deferrable constraints",
                    ));
                }
                Some(_) => {}
            }
        }
        check_newer_by(&route, &table)?;
        mapping::check(&route, &table)?;
        check_filled(&route, &table)?;
        if let Some(captures) = &route.captures {
            captures.check(&table)?;
        }
        convert::check(&route, &table)?;
        op::check_soft_delete(&route, &table)?;
        let mut text = route.fingerprint.clone();
        // Writing to a String cannot fail.
        let _ = write!(text, "{:?}{:?}", table.columns, table.key);
        let hash = Sha256::digest(text.as_bytes()).iter().take(8).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let target = table.name.clone();
        Ok(Self { route, table, target, hash })
    }
}

fn keyless_hint(route: &Route, table: &Table) -> String {
    let otherwise = if route.snapshot.is_some() {
        "`scope: table`, which needs none"
    } else {
        "`--mode insert` (`write: {mode: insert}`), which repeats rows on a repeated load"
    };
    format!("ALTER TABLE {} ADD PRIMARY KEY (…), or load with {otherwise}", table.name.quoted())
}

fn check_filled(route: &Route, table: &Table) -> Result<()> {
    for (name, metadata) in &route.columns {
        let word = metadata.name();
        // Whether there is such a column is known by now.
        let Some(index) = table.column_index(name) else { continue };
        let column = &table.columns[index];
        if !metadata.fits(column.kind) || !column.generated.is_writable() {
            return Err(Error::config(format!(
                "`columns: {{{name}: {word}}}`: it is of type `{}`",
                column.sql_type
            ))
            .with_hint("names fit into text or varchar, `$line` into int4 or int8, times into timestamptz"));
        }
    }
    Ok(())
}

/// Only what every server compares alike tells which row is newer: whole numbers and times.
fn check_newer_by(route: &Route, table: &Table) -> Result<()> {
    let Some(name) = &route.newer_by else { return Ok(()) };
    let refuse = |what: &str| Error::config(format!("`newer_by: {name}`: {what}"));
    let Some(index) = table.column_index(name) else {
        let error = refuse(&format!("table `{}` has no such column", table.name));
        return Err(match nearest(name, table.column_names()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("name a column that grows with each change of a row"),
        });
    };
    let column = &table.columns[index];
    let is_ordered = matches!(
        column.kind,
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Date | Kind::Timestamp { .. } | Kind::Timestamptz { .. }
    );
    if !is_ordered {
        return Err(refuse(&format!("it is of type `{}`", column.sql_type))
            .with_hint("use a column of type int2, int4, int8, date, timestamp or timestamptz"));
    }
    if table.key.as_ref().is_some_and(|key| key.columns.contains(&index)) {
        return Err(refuse("it is part of the primary key")
            .with_hint("rows of one key have the same value there; use a column outside of the key"));
    }
    Ok(())
}
