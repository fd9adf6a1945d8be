//! What is meant: settings, table and limits, checked against each other. An invalid plan cannot be built.
//!
//! A [`Planner`] is made once from the settings and knows every route. For an object it gives the [`Route`];
//! with the live table that becomes a [`Plan`], and with the object's first record a [`Layout`]: which field
//! goes into which column.

use std::fmt::Write as _;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::decode::Record;
use crate::decode::csv::{Dialect, Escape};
use crate::error::{Error, Result, nearest};
use crate::object::ObjectRef;
pub use crate::settings::HeaderRule;
use crate::settings::{
    PartitionRule, RouteSettings, Settings, Unmatched, WriteMode, WritePath, WriteSettings,
};
use crate::table::{Kind, Table, TableName};

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
#[derive(Debug)]
pub struct Route {
    /// The target table.
    pub table: TableName,
    /// How rows meet rows that are there.
    pub mode: WriteMode,
    /// Whether an object's rows must appear together; unless said, as the server does it best.
    pub atomic: Option<bool>,
    /// The write path that was asked for by name.
    pub path: Option<WritePath>,
    /// What becomes of a row whose partition does not exist.
    pub partitions: PartitionRule,
    /// The column that tells which of two rows is newer.
    pub newer_by: Option<String>,
    /// How bytes become records.
    pub dialect: Dialect,
    /// Whether the first record is a header.
    pub header: HeaderRule,
    /// An unquoted field that equals it is NULL.
    pub null_string: String,
    /// More bad rows and the object fails.
    pub bad_rows_max: u64,
    /// A larger share, in percent, and the object fails.
    pub bad_rows_max_percent: f64,
    matcher: GlobMatcher,
    fingerprint: String,
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
        planner.refuse_own_output(settings.rejects.as_deref())?;
        Ok(planner)
    }

    /// A reject object that a route matched would be loaded, and rejected, again and again.
    fn refuse_own_output(&self, rejects: Option<&str>) -> Result<()> {
        let Some(address) = rejects.filter(|address| address.starts_with("s3://")) else { return Ok(()) };
        let probe = format!("{}/bucket/key.csv", address.trim_end_matches('/'));
        let caught =
            self.routes.iter().find(|route| !route.takes_everything() && route.matcher.is_match(&probe));
        if caught.is_some() {
            return Err(Error::config(format!("the rejects address `{address}` is matched by a route"))
                .with_hint("use another bucket or a prefix that no `object:` glob matches"));
        }
        Ok(())
    }

    /// Where the object goes.
    ///
    /// # Errors
    /// `Config` when nothing matches and that is not allowed.
    pub fn destination(&self, object: &ObjectRef) -> Result<Destination> {
        let address = object.address();
        if let Some(route) = self.routes.iter().find(|route| route.matcher.is_match(&address)) {
            return Ok(Destination::Route(Arc::clone(route)));
        }
        if self.routes.is_empty() {
            return Err(
                Error::config("no table is named").with_hint("set HOLOLOAD_TABLE, or write `routes:`")
            );
        }
        match self.unmatched {
            Unmatched::Ignore => Ok(Destination::Ignored("no route matches".to_owned())),
            Unmatched::Fail => Err(Error::config(format!("no route matches `{address}`"))
                .with_hint("add a route, or set `unmatched: ignore`")),
        }
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
        let matcher = GlobBuilder::new(&said.object).literal_separator(true).build().map_err(|source| {
            Error::config(format!("read the glob `{}`", said.object)).with_source(source)
        })?;
        let parse = &said.parse;
        only(&parse.format, &["auto", "csv"], "format")?;
        only(&parse.charset.to_lowercase(), &["auto", "utf-8", "utf8"], "charset")?;
        let path = said.write.path.as_deref().map_or(Ok(None), write_path)?;
        let quote = optional_byte(&parse.quote, "quote")?;
        let escape = match optional_byte(&parse.escape, "escape")? {
            Some(byte) if Some(byte) != quote => Escape::Byte(byte),
            _ => Escape::Doubled,
        };
        let delimiter = optional_byte(&parse.delimiter, "delimiter")?
            .ok_or_else(|| Error::config("`delimiter` must not be empty"))?;
        if Some(delimiter) == quote || matches!(delimiter, b'\r' | b'\n') {
            return Err(Error::config("`delimiter` must differ from the quote and from line ends"));
        }
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
        Ok(Self {
            table: TableName::parse(&said.table)?,
            mode: said.write.mode,
            atomic: said.write.atomic,
            path,
            partitions: said.write.partitions,
            newer_by: newer_by(&said.write)?,
            dialect: Dialect { delimiter, quote, escape, skip_lines: parse.skip_lines },
            header: parse.header,
            null_string: parse.null_string.clone(),
            bad_rows_max: max,
            bad_rows_max_percent: percent,
            matcher: matcher.compile_matcher(),
            // Whatever can change the verdict about an object, also what is said elsewhere than in the route.
            fingerprint: format!("{said:?}{max}{percent}{zone_name}{limits:?}"),
        })
    }

    fn takes_everything(&self) -> bool {
        self.matcher.glob().glob() == "**"
    }
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

fn newer_by(write: &WriteSettings) -> Result<Option<String>> {
    let decides = matches!(write.mode, WriteMode::Upsert | WriteMode::Replace);
    if write.newer_by.is_some() && !decides {
        let mode = write.mode.name();
        return Err(Error::config(format!("`newer_by` has nothing to decide in mode `{mode}`"))
            .with_hint("use it with `mode: upsert` or `replace`, or leave it out"));
    }
    Ok(write.newer_by.clone())
}

fn optional_byte(text: &str, name: &str) -> Result<Option<u8>> {
    match text.as_bytes() {
        [] => Ok(None),
        [b'\\', b't'] => Ok(Some(b'\t')),
        [byte] if byte.is_ascii() && *byte != 0 => Ok(Some(*byte)),
        _ => Err(Error::config(format!("`{name}` must be one ASCII character (a tab may be written `\\t`)"))),
    }
}

/// A route and the table it leads to, fit for each other.
#[derive(Debug)]
pub struct Plan {
    /// The route.
    pub route: Arc<Route>,
    /// The table.
    pub table: Arc<Table>,
    /// Settings and table in one hash: a verdict about an object holds as long as it is the same.
    pub hash: String,
}

impl Plan {
    /// Puts a route and its table together.
    ///
    /// # Errors
    /// `Config` when the mode needs a primary key that the table has not, or one that is deferrable.
    pub fn new(route: Arc<Route>, table: Arc<Table>) -> Result<Self> {
        if route.mode != WriteMode::Insert {
            let mode = route.mode.name();
            match &table.key {
                None => {
                    return Err(Error::config(format!("table `{}` has no primary key, `{mode}` needs one", table.name))
                        .with_hint(format!(
                            "ALTER TABLE {} ADD PRIMARY KEY (…), or load with `write: {{mode: insert}}`, which repeats rows on a repeated load",
                            table.name.quoted()
                        )));
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
        let mut text = route.fingerprint.clone();
        // Writing to a String cannot fail.
        let _ = write!(text, "{:?}{:?}", table.columns, table.key);
        let hash = Sha256::digest(text.as_bytes()).iter().take(8).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Ok(Self { route, table, hash })
    }

    /// What the first record says about the columns (DESIGN: the header rule).
    ///
    /// # Errors
    /// `Config` for a header that does not fit the table; `Input` for a record that is neither header nor data.
    pub fn first_record(&self, record: &Record<'_>) -> Result<First> {
        let matching = record
            .fields()
            .filter(|field| {
                std::str::from_utf8(field.bytes).is_ok_and(|name| self.table.column_index(name).is_some())
            })
            .count();
        let is_header = match self.route.header {
            HeaderRule::Present => true,
            HeaderRule::Absent => false,
            // `Order_Id` names a column as surely as `order_id`: it is no data, and not yet a header either.
            HeaderRule::Auto if matching == 0 && self.is_nearly_header(record) => {
                return Err(self.neither(record));
            }
            HeaderRule::Auto if matching == 0 => false,
            HeaderRule::Auto if matching * 2 >= record.field_count() => true,
            HeaderRule::Auto => return Err(self.neither(record)),
        };
        if is_header && matching == 0 {
            // What stands there may be data: it is not named.
            return Err(Error::config(format!(
                "the first row names no column of table `{}`",
                self.table.name
            ))
            .with_hint(format!(
                "its columns are {}; set `parse: {{header: false}}` if the file has no header",
                self.table.column_names().take(20).collect::<Vec<_>>().join(", ")
            )));
        }
        if is_header {
            return self.by_header(record).map(First::Header);
        }
        match self.by_position(record.field_count())? {
            Some(layout) => Ok(First::Data(layout)),
            None => Err(self.neither(record)),
        }
    }

    /// Whether at least half of the fields name columns but for case and blanks.
    fn is_nearly_header(&self, record: &Record<'_>) -> bool {
        let is_near = |bytes: &[u8]| {
            std::str::from_utf8(bytes).is_ok_and(|name| {
                let name = name.trim().to_lowercase();
                self.table.column_names().any(|column| column.to_lowercase() == name)
            })
        };
        record.fields().filter(|field| is_near(field.bytes)).count() * 2 >= record.field_count()
    }

    /// The error for a first record that fits nowhere.
    pub fn neither(&self, record: &Record<'_>) -> Error {
        let writable = self.writable().count();
        Error::input("first row is neither header nor data").with_hint(format!(
            "table `{}` has {writable} columns ({}), the first row {} fields; add a header with column names, or set `parse: {{header: true}}` or `false`",
            self.table.name,
            self.table.column_names().take(20).collect::<Vec<_>>().join(", "),
            record.field_count(),
        ))
    }

    fn writable(&self) -> impl Iterator<Item = usize> + '_ {
        let columns = self.table.columns.iter().enumerate();
        columns.filter(|(_, column)| column.generated.is_writable()).map(|(index, _)| index)
    }

    fn by_header(&self, record: &Record<'_>) -> Result<Layout> {
        let mut columns = Vec::with_capacity(record.field_count());
        for field in record.fields() {
            let name =
                std::str::from_utf8(field.bytes).map_err(|_| Error::input("the header is not UTF-8"))?;
            let Some(index) = self.table.column_index(name) else { return Err(self.unknown_column(name)) };
            if columns.contains(&index) {
                return Err(Error::config(format!("the header names column `{name}` twice")));
            }
            let column = &self.table.columns[index];
            if !column.generated.is_writable() {
                return Err(Error::config(format!(
                    "column `{name}` is generated always, the file must not have it"
                ))
                .with_hint("drop the column from the file"));
            }
            columns.push(index);
        }
        self.layout(&columns)
    }

    fn unknown_column(&self, name: &str) -> Error {
        let shown: String = name.chars().take(64).collect();
        let error = Error::config(format!(
            "the header names `{shown}`, table `{}` has no such column",
            self.table.name
        ));
        match nearest(name, self.table.column_names()) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint(format!(
                "its columns are {}",
                self.table.column_names().collect::<Vec<_>>().join(", ")
            )),
        }
    }

    fn by_position(&self, field_count: usize) -> Result<Option<Layout>> {
        let columns: Vec<usize> = self.writable().collect();
        if columns.len() == field_count { self.layout(&columns).map(Some) } else { Ok(None) }
    }

    /// `columns` holds the column of each field; key columns come first in what is made of it.
    fn layout(&self, columns: &[usize]) -> Result<Layout> {
        for (index, column) in self.table.columns.iter().enumerate() {
            let is_left_out = !columns.contains(&index) && column.generated.is_writable();
            if is_left_out && column.not_null && !column.has_default {
                return Err(Error::config(format!(
                    "the file has no column `{}`, which is NOT NULL and has no default",
                    column.name
                ))
                .with_hint("add the column to the file, or give it a default in the table"));
            }
        }
        let rounded = columns.iter().filter_map(|index| self.table.columns.get(*index));
        if let Some(column) = rounded.into_iter().find(|column| column.is_rounded_by_server) {
            return Err(Error::config(format!(
                "column `{}` is of type `{}`, whose values the server would round or cut short",
                column.name, column.sql_type
            ))
            .with_hint("leave the column out of the file, or give it a type that keeps what is written"));
        }
        let key = self.table.key.as_ref().map(|key| key.columns.as_slice()).unwrap_or_default();
        if self.route.mode != WriteMode::Insert {
            for index in key {
                if !columns.contains(index) {
                    let name = &self.table.columns[*index].name;
                    return Err(Error::config(format!(
                        "the file has no column `{name}`, part of the primary key"
                    ))
                    .with_hint(format!("`{}` needs every key column in the file", self.route.mode.name())));
                }
            }
        }
        let has_whole_key = key.iter().all(|index| columns.contains(index));
        let key_count = if has_whole_key { key.len() } else { 0 };
        let place = |column: usize| columns.iter().position(|one| *one == column);
        let mut slots: Vec<Slot> = Vec::with_capacity(columns.len());
        for column in key.iter().take(key_count) {
            slots.extend(place(*column).map(|field| Slot { column: *column, field }));
        }
        for (field, column) in columns.iter().enumerate() {
            if !key.iter().take(key_count).any(|one| one == column) {
                slots.push(Slot { column: *column, field });
            }
        }
        let newer_slot = match &self.route.newer_by {
            None => None,
            Some(name) => {
                let is_meant = |slot: &Slot| self.table.columns[slot.column].name == *name;
                let slot = slots.iter().position(is_meant);
                Some(slot.ok_or_else(|| {
                    Error::config(format!("the file has no column `{name}`, by which newer rows are told"))
                        .with_hint("add the column to the file, or leave `newer_by` out")
                })?)
            }
        };
        Ok(Layout { slots, key_count, newer_slot, field_count: columns.len() })
    }
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

/// What the first record is.
#[derive(Debug)]
pub enum First {
    /// A header; the data follows.
    Header(Layout),
    /// Data by position, if its values type cleanly.
    Data(Layout),
}

/// One value to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Index of the table's column.
    pub column: usize,
    /// Index of the record's field.
    pub field: usize,
}

/// Which field goes into which column, in the order of the statement.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Key columns first.
    pub slots: Vec<Slot>,
    /// How many of the slots are the key; 0 when the file has not all of it.
    pub key_count: usize,
    /// The slot of the column that tells which of two rows is newer.
    pub newer_slot: Option<usize>,
    /// Fields in every record.
    pub field_count: usize,
}
