//! The table as the catalog describes it, in one round trip.

use tokio_postgres::types::Type;

use super::{Dialect, Parameter, Row, Session, Version, policy};
use crate::error::{Error, Result, nearest};
use crate::table::{Column, Generated, Key, Kind, Table, TableName};

/// As `server_version_num`: PostgreSQL 12.
const GENERATED_SINCE: u32 = 120_000;

/// Reads the table's definition.
///
/// # Errors
/// `Config` with the nearest name when there is no such table, or when it is not one that takes rows.
pub(super) async fn table(session: &Session, name: &TableName) -> Result<Table> {
    let action = format!("look up table `{name}`");
    let failed = |source| policy::failure_beside_rows(&action, source);
    let sql = columns_sql(has_generated(session));
    let named: [Parameter<'_>; 2] = [(&name.schema, Type::TEXT), (&name.name, Type::TEXT)];
    let (rows, properties, partition) = if session.dialect().is_hologres() {
        let (rows, properties, partition) = tokio::join!(
            biased;
            session.client.query_typed(&sql, &named),
            session.client.query_typed(PROPERTIES_SQL, &named),
            session.client.query_typed(PARTITION_SQL, &named),
        );
        // Who may not look at properties does without: they make errors come earlier, no load depends on them.
        let properties = match properties {
            Err(source) if source.as_db_error().is_some() => Vec::new(),
            properties => properties.map_err(failed)?,
        };
        (rows.map_err(failed)?, properties, partition.map_err(failed)?)
    } else {
        (session.client.query_typed(&sql, &named).await.map_err(failed)?, Vec::new(), Vec::new())
    };
    let Some(first) = rows.first() else { return Err(missing(session, name).await) };

    let relkind: String = first.get("relkind");
    if relkind != "r" && relkind != "p" {
        return Err(Error::config(format!("`{name}` is not a table that takes rows"))
            .with_hint("name an ordinary or a partitioned table, not a view or a foreign table"));
    }
    let mut columns = Vec::with_capacity(rows.len());
    let mut key_places: Vec<(i32, usize)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        if let Some(place) = row.get::<_, Option<i32>>("key_place") {
            key_places.push((place, index));
        }
        columns.push(column(row));
    }
    key_places.sort_unstable();
    let key = (!key_places.is_empty()).then(|| Key {
        columns: key_places.into_iter().map(|(_, index)| index).collect(),
        deferrable: first.get::<_, Option<bool>>("is_immediate") == Some(false),
    });
    let property = |key: &str| {
        let is_meant = |row: &&Row| row.get::<_, Option<&str>>(0) == Some(key);
        properties.iter().find(is_meant).and_then(|row| row.get::<_, Option<String>>(1))
    };
    // A logical partitioned table (V3.1) has no children: any value has its place.
    let is_logical = property("is_logical_partitioned_table").is_some_and(|value| value == "true");
    let partition_name = partition.first().filter(|_| !is_logical).map(|row| row.get::<_, String>(0));
    let partition_column =
        partition_name.and_then(|name| columns.iter().position(|column: &Column| column.name == name));
    let distribution_key = property("distribution_key").unwrap_or_default();
    let is_spread_by = |name: &&str| columns.iter().any(|column| column.name == *name);
    let distribution_key =
        distribution_key.split(',').map(str::trim).filter(is_spread_by).map(str::to_owned).collect();
    Ok(Table {
        name: name.clone(),
        columns,
        key,
        is_partitioned: relkind == "p",
        partition_column,
        distribution_key,
    })
}

/// Generated columns are in the catalog from PostgreSQL 12 on. Hologres calls itself 11 and has them from V3.1.0 (the
/// catalog queries of the vendor's Python client).
fn has_generated(session: &Session) -> bool {
    match session.dialect() {
        Dialect::PostgreSql => session.server_version_num() >= GENERATED_SINCE,
        Dialect::Hologres(version) => version >= Version::new(3, 1, 0),
    }
}

/// Partitions that exist, by the text of their value: of LIST partitions over one column, the only kind that
/// Hologres has.
pub(super) async fn partitions(session: &Session, name: &TableName) -> Result<Vec<String>> {
    let named: [Parameter<'_>; 2] = [(&name.schema, Type::TEXT), (&name.name, Type::TEXT)];
    let rows = session.client.query_typed(CHILDREN_SQL, &named).await;
    let rows = rows.map_err(|source| policy::failure_beside_rows("look up the partitions", source))?;
    let bounds = rows.iter().filter_map(|row| row.get::<_, Option<String>>(0));
    Ok(bounds.flat_map(|bound| bound_values(&bound)).collect())
}

/// `FOR VALUES IN ('a', 'it''s', 7)` holds `a`, `it's` and `7`.
fn bound_values(bound: &str) -> Vec<String> {
    let Some((_, rest)) = bound.split_once("IN (") else { return Vec::new() };
    let mut values = Vec::new();
    let mut value = String::new();
    let mut is_quoted = false;
    let mut chars = rest.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' if is_quoted && chars.peek() == Some(&'\'') => {
                value.push('\'');
                chars.next();
            }
            '\'' => is_quoted = !is_quoted,
            ',' | ')' if !is_quoted => values.push(std::mem::take(&mut value)),
            ' ' if !is_quoted => {}
            _ => value.push(c),
        }
    }
    values
}

const PROPERTIES_SQL: &str = "SELECT property_key::text, property_value::text \
     FROM hologres.hg_table_properties WHERE table_namespace = $1 AND table_name = $2";

const PARTITION_SQL: &str = "SELECT a.attname::text FROM pg_catalog.pg_partitioned_table p \
     JOIN pg_catalog.pg_class c ON c.oid = p.partrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0] \
     WHERE p.partstrat = 'l' AND n.nspname = $1 AND c.relname = $2";

/// The children of a table.
pub(super) const LEAVES_SQL: &str = "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_inherits i \
     JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     JOIN pg_catalog.pg_class p ON p.oid = i.inhparent \
     JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace \
     WHERE pn.nspname = $1 AND p.relname = $2 ORDER BY 1, 2";

const CHILDREN_SQL: &str = "SELECT pg_catalog.pg_get_expr(child.relpartbound, child.oid, true) \
     FROM pg_catalog.pg_inherits i \
     JOIN pg_catalog.pg_class child ON child.oid = i.inhrelid \
     JOIN pg_catalog.pg_class c ON c.oid = i.inhparent \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2";

fn columns_sql(has_generated: bool) -> String {
    let generated = if has_generated { "a.attgenerated::text" } else { "''::text" };
    format!(
        "SELECT c.relkind::text AS relkind, a.attname::text AS name, \
         pg_catalog.format_type(a.atttypid, a.atttypmod) AS sql_type, \
         pg_catalog.format_type(coalesce(nullif(bt.typbasetype, 0), nullif(t.typbasetype, 0), a.atttypid), -1) AS cast_type, \
         CASE WHEN tn.nspname = 'pg_catalog' AND t.typtype = 'b' THEN t.typname::text \
         WHEN btn.nspname = 'pg_catalog' AND bt.typtype = 'b' THEN bt.typname::text ELSE '' END AS base, \
         CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier, \
         a.attnotnull OR t.typnotnull AS not_null, a.atthasdef OR t.typdefault IS NOT NULL AS has_default, \
         a.attidentity::text AS identity, {generated} AS generated, \
         array_position(i.indkey::int2[], a.attnum) AS key_place, i.indimmediate AS is_immediate \
         FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace \
         LEFT JOIN pg_catalog.pg_type bt ON bt.oid = t.typbasetype AND t.typtype = 'd' \
         LEFT JOIN pg_catalog.pg_namespace btn ON btn.oid = bt.typnamespace \
         LEFT JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary \
         WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
         ORDER BY a.attnum"
    )
}

fn column(row: &tokio_postgres::Row) -> Column {
    let base: String = row.get("base");
    let modifier: i32 = row.get("modifier");
    let identity: String = row.get("identity");
    let generated: String = row.get("generated");
    let generated = match (identity.as_str(), generated.as_str()) {
        ("a", _) => Generated::IdentityAlways,
        ("d", _) => Generated::IdentityByDefault,
        (_, "s" | "v") => Generated::Stored,
        _ => Generated::No,
    };
    Column {
        name: row.get("name"),
        sql_type: row.get("sql_type"),
        cast_type: row.get("cast_type"),
        kind: kind(&base, modifier),
        is_rounded_by_server: is_rounded(&base, modifier),
        not_null: row.get("not_null"),
        has_default: row.get::<_, bool>("has_default") || generated == Generated::IdentityByDefault,
        generated,
    }
}

/// `modifier` is `atttypmod`: -1 when none was declared, else offset by the 4 bytes of a length word for
/// character types and numeric.
fn kind(base: &str, modifier: i32) -> Kind {
    let char_max = u32::try_from(modifier - 4).ok();
    let digits = u8::try_from(modifier).ok().filter(|digits| *digits <= 6).unwrap_or(6);
    match base {
        "bool" => Kind::Bool,
        "int2" => Kind::Int2,
        "int4" => Kind::Int4,
        "int8" => Kind::Int8,
        "float4" => Kind::Float4,
        "float8" => Kind::Float8,
        "numeric" => Kind::Numeric { limits: numeric_limits(modifier) },
        "text" => Kind::Text,
        "varchar" => Kind::Varchar { char_max },
        "bpchar" => Kind::Char { char_max },
        "date" => Kind::Date,
        "time" => Kind::Time { digits },
        "timestamp" => Kind::Timestamp { digits },
        "timestamptz" => Kind::Timestamptz { digits },
        "uuid" => Kind::Uuid,
        "bytea" => Kind::Bytea,
        "json" => Kind::Json,
        "jsonb" => Kind::Jsonb,
        _ => Kind::Other,
    }
}

/// Types whose text is handed to the server, which would round or cut it without a word.
fn is_rounded(base: &str, modifier: i32) -> bool {
    match base {
        "money" | "name" | "_money" | "_name" => true,
        // The lower half of an interval's modifier holds its digits, 65535 for all of them.
        "interval" => modifier >= 0 && modifier & 0xffff <= 6,
        "timetz" | "_numeric" | "_time" | "_timetz" | "_timestamp" | "_timestamptz" | "_interval" => {
            modifier >= 0
        }
        _ => false,
    }
}

/// The upper half holds the precision, the lower 11 bits the scale in two's complement (PostgreSQL 15; older
/// ones have no negative scales, so that the same reading holds).
fn numeric_limits(modifier: i32) -> Option<(u16, i16)> {
    let bits = u32::try_from(modifier.checked_sub(4)?).ok()?;
    let precision = u16::try_from(bits >> 16).ok()?;
    let scale = i16::try_from(bits & 0x7ff).ok()?;
    Some((precision, if scale >= 1024 { scale - 2048 } else { scale }))
}

async fn missing(session: &Session, name: &TableName) -> Error {
    let error = Error::config(format!("there is no table `{name}`")).with_code("42P01");
    let sql = "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') LIMIT 2000";
    let names: Vec<String> = match session.client.query_typed(sql, &[]).await {
        Ok(rows) => {
            rows.iter().map(|row| TableName { schema: row.get(0), name: row.get(1) }.said()).collect()
        }
        Err(_) => Vec::new(),
    };
    let said = name.said();
    if names.contains(&said) {
        return Error::config(format!("table `{name}` has no columns"))
            .with_hint("add some, or name another table");
    }
    match nearest(&name.to_string(), names.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint("create it first, or correct HOLOLOAD_TABLE (`table:` of the route)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read() {
        assert_eq!(bound_values("FOR VALUES IN ('20260101')"), ["20260101"]);
        assert_eq!(bound_values("FOR VALUES IN ('it''s, (a)', 7)"), ["it's, (a)", "7"]);
        assert_eq!(bound_values("DEFAULT"), [""; 0]);
    }

    #[test]
    fn type_modifiers_are_read() {
        assert_eq!(kind("numeric", (10 << 16 | 2) + 4), Kind::Numeric { limits: Some((10, 2)) });
        assert_eq!(kind("numeric", (3 << 16 | (2048 - 2)) + 4), Kind::Numeric { limits: Some((3, -2)) });
        assert_eq!(kind("numeric", -1), Kind::Numeric { limits: None });
        assert_eq!(kind("varchar", 24), Kind::Varchar { char_max: Some(20) });
        assert_eq!(kind("text", -1), Kind::Text);
        assert_eq!(kind("timestamptz", 3), Kind::Timestamptz { digits: 3 });
        assert_eq!(kind("timestamptz", -1), Kind::Timestamptz { digits: 6 });
        assert_eq!(kind("", -1), Kind::Other);
    }
}
