//! One batch, one statement: values bound as they are encoded, guarded by a savepoint.

use std::fmt;

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use super::policy::{self, Failure};
use super::{Session, SystemTime};

/// The element type of a bound array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayType {
    /// SQL name of the element type, as it stands in the cast.
    pub sql: &'static str,
    /// Its OID, part of the array's wire form.
    pub element_oid: u32,
    array: &'static Type,
    element: &'static Type,
}

/// A single value whose type the server takes from the column, read from its text.
const FROM_TEXT: &Type = &Type::UNKNOWN;

macro_rules! array_types {
    ($($name:ident $sql:literal $element:ident $array:ident;)*) => {
        impl ArrayType {
            $(
                #[doc = concat!("`", $sql, "[]`")]
                pub const $name: Self =
                    Self { sql: $sql, element_oid: oid::$element, array: &Type::$array, element: &Type::$element };
            )*
        }
    };
}

/// OIDs of built-in types, fixed by `pg_type.dat` in every PostgreSQL.
mod oid {
    pub(super) const BOOL: u32 = 16;
    pub(super) const BYTEA: u32 = 17;
    pub(super) const INT8: u32 = 20;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const TEXT: u32 = 25;
    pub(super) const JSON: u32 = 114;
    pub(super) const FLOAT4: u32 = 700;
    pub(super) const FLOAT8: u32 = 701;
    pub(super) const BPCHAR: u32 = 1042;
    pub(super) const VARCHAR: u32 = 1043;
    pub(super) const DATE: u32 = 1082;
    pub(super) const TIME: u32 = 1083;
    pub(super) const TIMESTAMP: u32 = 1114;
    pub(super) const TIMESTAMPTZ: u32 = 1184;
    pub(super) const NUMERIC: u32 = 1700;
    pub(super) const UUID: u32 = 2950;
    pub(super) const JSONB: u32 = 3802;
}

array_types! {
    BOOL "bool" BOOL BOOL_ARRAY;
    BYTEA "bytea" BYTEA BYTEA_ARRAY;
    INT8 "int8" INT8 INT8_ARRAY;
    INT2 "int2" INT2 INT2_ARRAY;
    INT4 "int4" INT4 INT4_ARRAY;
    TEXT "text" TEXT TEXT_ARRAY;
    JSON "json" JSON JSON_ARRAY;
    FLOAT4 "float4" FLOAT4 FLOAT4_ARRAY;
    FLOAT8 "float8" FLOAT8 FLOAT8_ARRAY;
    BPCHAR "bpchar" BPCHAR BPCHAR_ARRAY;
    VARCHAR "varchar" VARCHAR VARCHAR_ARRAY;
    DATE "date" DATE DATE_ARRAY;
    TIME "time" TIME TIME_ARRAY;
    TIMESTAMP "timestamp" TIMESTAMP TIMESTAMP_ARRAY;
    TIMESTAMPTZ "timestamptz" TIMESTAMPTZ TIMESTAMPTZ_ARRAY;
    NUMERIC "numeric" NUMERIC NUMERIC_ARRAY;
    UUID "uuid" UUID UUID_ARRAY;
    JSONB "jsonb" JSONB JSONB_ARRAY;
}

/// Whole arrays in their wire form, one for each parameter of the statement.
pub struct Arrays<'a> {
    /// Element types, in parameter order.
    pub types: &'a [ArrayType],
    /// Wire forms (`array_recv`: dimensions, flags, element OID, length, lower bound, elements), same order.
    pub values: &'a [Vec<u8>],
    /// Elements in each.
    pub rows: usize,
}

/// Single values, one for each parameter of the statement, row by row.
pub struct Fields<'a> {
    /// The type of each column; none: the server takes the column's own and reads the value's text.
    pub types: &'a [Option<ArrayType>],
    /// The rows, each a length (`i32`, -1 for NULL) and bytes for each column.
    pub rows: &'a [&'a [u8]],
}

impl<'a> Fields<'a> {
    pub(super) fn values(&self) -> Vec<Encoded<'a>> {
        let mut values = Vec::with_capacity(self.rows.len() * self.types.len());
        for row in self.rows {
            let mut rest: &'a [u8] = row;
            for one in self.types {
                let Some((length, after)) = rest.split_first_chunk::<4>() else { break };
                let length = usize::try_from(i32::from_be_bytes(*length)).ok();
                let (bytes, after) = after.split_at_checked(length.unwrap_or(0)).unwrap_or_default();
                rest = after;
                let format = if one.is_some() { Format::Binary } else { Format::Text };
                values.push(Encoded { bytes: length.map(|_| bytes), format, bytes_to_come: 0 });
            }
        }
        values
    }

    pub(super) fn parameter_types(&self) -> Vec<Type> {
        let of_row = self.types.iter().map(|one| one.map_or(FROM_TEXT, |one| one.element));
        self.rows.iter().flat_map(|_| of_row.clone()).cloned().collect()
    }
}

/// What a statement did, where it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows inserted or changed.
    pub written: u64,
    /// How many of them were new, where the server tells.
    pub inserted: Option<u64>,
}

/// How a statement tells what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// It answers one row: how many were inserted, how many written.
    Returned,
    /// By its command tag, and what it writes is new.
    Inserted,
    /// By its command tag, new and changed rows in one.
    Written,
    /// Not at all: whatever was sent and not refused is there.
    Silent,
}

/// A wire form that is bound as it is; its bytes never show in a debug text.
pub(super) struct Encoded<'a> {
    /// None is NULL.
    bytes: Option<&'a [u8]>,
    format: Format,
    /// Bytes that this and the values after it will take: the message grows once instead of by doubling.
    bytes_to_come: usize,
}

impl fmt::Debug for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes.map_or(0, <[u8]>::len))
    }
}

impl ToSql for Encoded<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(bytes) = self.bytes else { return Ok(IsNull::Yes) };
        out.reserve(self.bytes_to_come);
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        self.format
    }

    to_sql_checked!();
}

impl Session {
    /// Runs `sql` (prepared once for each session) with whole arrays bound.
    ///
    /// Inside a transaction a savepoint stands around it: a refusal leaves the transaction usable. Savepoint,
    /// statement and release travel together, in one round trip.
    pub async fn write(&mut self, sql: &str, arrays: &Arrays<'_>, tally: Tally) -> Result<Counts, Failure> {
        let mut bytes_to_come: usize = arrays.values.iter().map(|value| value.len() + 4).sum();
        let values = arrays.values.iter().map(|value| {
            let encoded = Encoded { bytes: Some(value), format: Format::Binary, bytes_to_come };
            bytes_to_come -= value.len() + 4;
            encoded
        });
        let values: Vec<Encoded<'_>> = values.collect();
        if !self.statements.contains_key(sql) {
            let types: Vec<Type> = arrays.types.iter().map(|one| one.array.clone()).collect();
            self.prepare(sql, &types).await?;
        }
        self.write_values(sql, &values, arrays.rows, tally).await
    }

    /// The same with every value bound by itself.
    pub async fn write_fields(
        &mut self,
        sql: &str,
        fields: &Fields<'_>,
        tally: Tally,
    ) -> Result<Counts, Failure> {
        let values = fields.values();
        if !self.statements.contains_key(sql) {
            self.prepare(sql, &fields.parameter_types()).await?;
        }
        self.write_values(sql, &values, fields.rows.len(), tally).await
    }

    async fn write_values(
        &mut self,
        sql: &str,
        values: &[Encoded<'_>],
        row_count: usize,
        tally: Tally,
    ) -> Result<Counts, Failure> {
        self.is_writing = true;
        let written = self.write_guarded(sql, values, tally).await;
        self.is_writing = self.may_still_write(written.as_ref().err());
        self.used_at = SystemTime::now();
        if written.as_ref().is_err_and(|failure| !failure.is_row_fault) {
            self.is_spoiled = true;
        }
        let written = written?;
        if tally == Tally::Silent {
            return Ok(Counts { written: row_count as u64, inserted: None });
        }
        Ok(written)
    }

    async fn write_guarded(
        &mut self,
        sql: &str,
        values: &[Encoded<'_>],
        tally: Tally,
    ) -> Result<Counts, Failure> {
        const ACTION: &str = "write a batch";
        let fail = |source| policy::failure(ACTION, source);
        let statement = self.prepare(sql, &[]).await?;
        let client = &self.client;
        if !self.is_in_transaction {
            return run(client, &statement, values, tally).await.map_err(fail);
        }
        // Polled in this order, and requests are sent in the order in which they are first polled.
        let (marked, written, released) = tokio::join!(
            biased;
            client.batch_execute("SAVEPOINT batch"),
            run(client, &statement, values, tally),
            client.batch_execute("RELEASE SAVEPOINT batch"),
        );
        marked.map_err(fail)?;
        match written {
            Ok(counts) => released.map(|()| counts).map_err(fail),
            Err(source) => {
                let failure = fail(source);
                if failure.is_row_fault {
                    // Inside the aborted transaction RELEASE was refused as well; the savepoint still stands.
                    client
                        .batch_execute("ROLLBACK TO SAVEPOINT batch; RELEASE SAVEPOINT batch")
                        .await
                        .map_err(fail)?;
                }
                Err(failure)
            }
        }
    }

    /// The prepared statement for this text, made once for each session.
    pub(super) async fn prepare(
        &mut self,
        sql: &str,
        types: &[Type],
    ) -> Result<tokio_postgres::Statement, Failure> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let prepared = self.client.prepare_typed(sql, types).await;
        self.is_spoiled |= prepared.is_err();
        let statement = prepared.map_err(|source| policy::failure("prepare the write statement", source))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

async fn run(
    client: &tokio_postgres::Client,
    statement: &tokio_postgres::Statement,
    values: &[Encoded<'_>],
    tally: Tally,
) -> Result<Counts, tokio_postgres::Error> {
    let counted = |number: i64| u64::try_from(number).unwrap_or(0);
    match tally {
        Tally::Inserted | Tally::Written | Tally::Silent => {
            let written = client.execute_raw(statement, values).await?;
            Ok(Counts { written, inserted: (tally == Tally::Inserted).then_some(written) })
        }
        Tally::Returned => {
            let parameters: Vec<&(dyn ToSql + Sync)> =
                values.iter().map(|one| one as &(dyn ToSql + Sync)).collect();
            let row = client.query_one(statement, &parameters).await?;
            Ok(Counts { written: counted(row.get(1)), inserted: Some(counted(row.get(0))) })
        }
    }
}
