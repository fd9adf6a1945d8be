//! Hologres: a table is made like another one, and takes its name.
//!
//! Names hold a number that no other attempt has: a statement of an attempt that was cut off, and arrives late, finds its
//! stage gone. What attempts before this one left behind is found by the name's beginning.

use super::fence::Fence;
use crate::context::Context;
use crate::database::{Acl, Parameter, Session, Type, Version};
use crate::error::{Class, Error, Result};
use crate::plan::Plan;
use crate::table::{Table, TableName, quote};

/// `DROP TABLE … FORCE` passes the recycle bin by (Spark connector, `JDBCUtil`).
const FORCE_SINCE: Version = Version::new(3, 1, 0);
/// Properties that a table is made with, or that change what it keeps.
const PROPERTIES: &[&str] = &[
    "orientation",
    "distribution_key",
    "clustering_key",
    "segment_key",
    "bitmap_columns",
    "dictionary_encoding_columns",
    "time_to_live_in_seconds",
    "binlog.level",
    "table_group",
];

/// Makes an empty table like the plan's, with its grants; under the claim on the table, so that there is one at a time.
pub(super) async fn make(
    context: &mut Context,
    fence: &mut Fence<'_>,
    plan: &Plan,
    warnings: &mut Vec<String>,
) -> Result<TableName> {
    let target = &plan.table.name;
    let prefix = prefix(target);
    let number = jiff::Timestamp::now().as_nanosecond();
    let stage = TableName { schema: target.schema.clone(), name: format!("{prefix}{number:x}") };
    // Help, "HG_CREATE_TABLE_LIKE": the name is of letters, digits and underscores, and not quoted.
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !stage.schema.chars().all(is_plain) {
        return Err(Error::config(format!(
            "make a table like `{target}`: the schema's name has other characters than a-z, 0-9 and _"
        ))
        .with_hint("move the table to another schema, or load with `scope: object`"));
    }
    let session = context.standing_session()?;
    drop_left_behind(session, &target.schema, &prefix).await?;
    // Other nodes learn of a table with a delay, unless told to wait (holo-client's tests, Spark connector).
    session.try_setting("SET hg_experimental_force_sync_replay = on").await?;
    session.try_setting("SET hg_experimental_enable_create_table_like_properties = on").await?;
    let query = format!("select * from {}", target.quoted()).replace('\'', "''");
    let sql = format!("CALL HG_CREATE_TABLE_LIKE('{}.{}', '{query}')", stage.schema, stage.name);
    session.run(&sql, "make a table like the target").await.map_err(unowned)?;
    let made = session.table(&stage).await?;
    compare(session, &plan.table, &made).await?;
    grant(session, target, &stage, warnings).await?;
    if fence.is_old() && !fence.keep(context, false).await? {
        return Err(super::stage::taken());
    }
    Ok(stage)
}

/// The stage takes the table's name, in one transaction of nothing but DDL.
pub(super) async fn swap(context: &mut Context, plan: &Plan, stage: &TableName) -> Result<()> {
    let target = &plan.table.name;
    let sql = format!(
        "BEGIN; DROP TABLE {}; ALTER TABLE {} RENAME TO {}; COMMIT",
        target.quoted(),
        stage.quoted(),
        quote(&target.name)
    );
    let session = context.standing_session()?;
    session.run(&sql, "put the new table in the old one's place").await.map_err(|error| match error.code() {
        Some("2BP01") => error.reclassed(Class::Config).with_hint(
            "a view or another object depends on the table, which is dropped each time: drop it, or load with `scope: object`",
        ),
        _ => unowned(error),
    })?;
    // Another table has the name now.
    session.forget();
    Ok(())
}

fn unowned(error: Error) -> Error {
    match error.code() {
        Some("42501") => error.with_hint(
            "the loader's user must own the table and have CREATE on its schema; or load with `scope: object`",
        ),
        _ => error,
    }
}

/// Names of stages of one table begin alike, and are short enough everywhere.
fn prefix(target: &TableName) -> String {
    // FNV-1a: it need not be secret, only the same each time.
    let hash = target.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("holoload_stage_{hash:016x}_")
}

async fn drop_left_behind(session: &mut Session, schema: &str, prefix: &str) -> Result<()> {
    const ACTION: &str = "look for stages that were left behind";
    let sql = "SELECT c.relname::text FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind = 'r' AND n.nspname = $1 AND left(c.relname::text, length($2)) = $2";
    let values: [Parameter<'_>; 2] = [(&schema, Type::TEXT), (&prefix, Type::TEXT)];
    let rows = session.query(sql, &values, ACTION).await?;
    let is_forced = session.dialect().hologres().is_some_and(|version| version >= FORCE_SINCE);
    for row in rows {
        let name = TableName { schema: schema.to_owned(), name: row.get(0) };
        let force = if is_forced { " FORCE" } else { "" };
        let sql = format!("DROP TABLE IF EXISTS {}{force}", name.quoted());
        session.run(&sql, "drop a stage that was left behind").await.map_err(unowned)?;
    }
    Ok(())
}

/// Whether the copy is one: how much of a table is copied depends on the version.
async fn compare(session: &mut Session, target: &Table, made: &Table) -> Result<()> {
    let refuse = |what: &str| {
        Error::config(format!("make a table like `{}`: its copy has another {what}", target.name)).with_hint(
            "this server copies less of a table than `scope: table` needs: load with `scope: object`",
        )
    };
    if target.columns.len() != made.columns.len() {
        return Err(refuse("number of columns"));
    }
    for (column, copy) in target.columns.iter().zip(&made.columns) {
        let is_same = column.name == copy.name
            && column.sql_type == copy.sql_type
            && column.not_null == copy.not_null
            && column.has_default == copy.has_default
            && column.generated == copy.generated;
        if !is_same {
            return Err(refuse(&format!("definition of column `{}`", column.name)));
        }
    }
    if target.key != made.key {
        return Err(refuse("primary key"));
    }
    let sql = "SELECT table_name::text, property_key::text, property_value::text \
               FROM hologres.hg_table_properties WHERE table_namespace = $1 AND table_name IN ($2, $3)";
    let names = [&target.name.schema, &target.name.name, &made.name.name];
    let values: Vec<Parameter<'_>> = names.iter().map(|name| (*name as _, Type::TEXT)).collect();
    let rows = session.query(sql, &values, "compare the properties of the tables").await?;
    for property in PROPERTIES {
        let of = |table: &str| {
            let is_meant = |row: &&crate::database::Row| {
                row.get::<_, &str>(0) == table && row.get::<_, &str>(1) == *property
            };
            rows.iter().find(is_meant).and_then(|row| row.get::<_, Option<String>>(2))
        };
        if of(&target.name.name) != of(&made.name.name) {
            return Err(refuse(&format!("`{property}`")));
        }
    }
    Ok(())
}

/// Whoever may use the table may use the one that takes its place.
async fn grant(
    session: &mut Session,
    target: &TableName,
    stage: &TableName,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let sql = "SELECT c.relacl::text[], r.rolname::text FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               JOIN pg_catalog.pg_roles r ON r.oid = c.relowner WHERE n.nspname = $1 AND c.relname = $2";
    let values: [Parameter<'_>; 2] = [(&target.schema, Type::TEXT), (&target.name, Type::TEXT)];
    let rows = session.query(sql, &values, "look up the table's grants").await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let items = row.get::<_, Option<Vec<String>>>(0).unwrap_or_default();
    let owner: String = row.get(1);
    let mut statements = Vec::new();
    for item in items {
        let Some(acl) = Acl::parse(&item) else {
            warnings.push("a grant of the replaced table was not understood and is lost".to_owned());
            continue;
        };
        if acl.grantee.as_deref() != Some(owner.as_str()) {
            statements.extend(acl.grants(stage));
        }
    }
    if !statements.is_empty() {
        session.run(&statements.join("; "), "grant rights on the new table").await?;
    }
    Ok(())
}
