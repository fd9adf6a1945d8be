//! The tables: their definition, how rows would be written, rights, the ledger, and connections.

use std::sync::Arc;

use super::said::Said;
use super::{Check, Time, rights};
use crate::database::Session;
use crate::error::{Class, Result};
use crate::ledger::{self, Ledger};
use crate::plan::{Plan, Route};
use crate::sink::{Refusals, Sink};
use crate::table::Table;

pub(super) const NAMES: [&str; 5] = ["connections", "table", "write_path", "privileges", "ledger"];

/// Fewer free connections are too few for a burst of loads.
const CONNECTIONS_FREE_MIN: i64 = 5;
/// The database broke off, or did not answer.
const BROKEN: &str = "the database does not answer any more; try again";

pub(super) async fn checks(said: &Said, session: &mut Session, time: &Time) -> Vec<Check> {
    let mut checks = vec![connections(session, time).await];
    if said.routes.is_empty() {
        let skipped = ["table", "write_path", "privileges"];
        checks.extend(skipped.map(|name| Check::skipped(name, said.no_route)));
    }
    for route in &said.routes {
        checks.extend(table(route, session, time).await);
    }
    checks.push(match &said.ledger {
        Some(ledger) => look_at_ledger(ledger, session, time).await,
        None => Check::warn(
            "ledger",
            "it is off: repeated, late and simultaneous deliveries are not told apart",
            "remove `ledger: off` (HOLOLOAD_LEDGER)",
        ),
    });
    checks
}

/// How many there are, and how many are taken.
async fn connections(session: &mut Session, time: &Time) -> Check {
    const NAME: &str = "connections";
    let (max, used) = match time.within("count connections", BROKEN, counted(session)).await {
        Ok(counts) => counts,
        Err(error) => return Check::skipped(NAME, format!("the server does not tell ({error})")),
    };
    let found = format!("{used} of {max} taken, this one included");
    let hint = "keep the function's maximum concurrency (the template's `MaxLoaders`) below what is free, or give the \
                instance more connections";
    if max - used < CONNECTIONS_FREE_MIN { Check::warn(NAME, found, hint) } else { Check::ok(NAME, found) }
}

/// Of the instance, or of the role where that may have fewer.
async fn counted(session: &mut Session) -> Result<(i64, i64)> {
    let max = if session.dialect().is_hologres() {
        "instance_max_connections()::int8"
    } else {
        "current_setting('max_connections')::int8 - current_setting('superuser_reserved_connections')::int8"
    };
    let rows = session.query(&format!("SELECT {max}"), &[], "count connections").await?;
    let max = rows.first().map_or(0, |row| row.get::<_, i64>(0));
    let taken = "SELECT count(*), count(*) FILTER (WHERE usename = current_user) FROM pg_catalog.pg_stat_activity \
                 WHERE backend_type = 'client backend'";
    let rows = session.query(taken, &[], "count connections").await?;
    let (all, own) = rows.first().map_or((0, 0), |row| (row.get::<_, i64>(0), row.get::<_, i64>(1)));
    let limit = "SELECT rolconnlimit::int8 FROM pg_catalog.pg_roles WHERE rolname = current_user";
    let rows = session.query(limit, &[], "count connections").await?;
    let limit = rows.first().map(|row| row.get::<_, i64>(0)).filter(|limit| *limit >= 0);
    // Whichever is used up first.
    Ok(limit.filter(|limit| limit - own < max - all).map_or((max, all), |limit| (limit, own)))
}

async fn table(route: &Arc<Route>, session: &mut Session, time: &Time) -> Vec<Check> {
    let action = format!("look up table `{}`", route.table);
    let table = match time.within(&action, BROKEN, session.table(&route.table)).await {
        Ok(table) => table,
        Err(error) => {
            let skipped = ["write_path", "privileges"].map(|name| Check::because(name, "table"));
            return [Check::failed("table", &error)].into_iter().chain(skipped).collect();
        }
    };
    let privileges = privileges(route, session, time).await;
    let plan = match Plan::new(Arc::clone(route), Arc::clone(&table)) {
        Ok(plan) => plan,
        Err(error) => {
            return vec![Check::failed("table", &error), Check::because("write_path", "table"), privileges];
        }
    };
    let defined = match described(&table, session, time).await {
        Ok(found) => Check::ok("table", found),
        Err(error) => Check::untold("table", &error),
    };
    vec![defined, write_path(&plan, session), privileges]
}

async fn described(table: &Table, session: &mut Session, time: &Time) -> Result<String> {
    let names = |columns: &[usize]| {
        columns.iter().map(|index| table.columns[*index].name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let key = table
        .key
        .as_ref()
        .map_or_else(|| "no key".to_owned(), |key| format!("key ({})", names(&key.columns)));
    let mut found = format!("{}: {} columns, {key}", table.name, table.columns.len());
    if let Some(column) = table.partition_column {
        let partitions =
            time.within("look up the partitions", BROKEN, session.partitions(&table.name)).await?;
        let name = &table.columns[column].name;
        found.push_str(&format!(", {} partitions by `{name}`", partitions.len()));
    } else if table.is_partitioned {
        found.push_str(", partitioned");
    }
    if !table.distribution_key.is_empty() {
        found.push_str(&format!(", distributed by {}", table.distribution_key.join(", ")));
    }
    Ok(found)
}

/// How rows of a file with every column would be written.
fn write_path(plan: &Plan, session: &Session) -> Check {
    const NAME: &str = "write_path";
    let layout = match plan.whole_layout() {
        Ok(layout) => layout,
        // A file without that column may still be loaded.
        Err(error) => return Check::untold(NAME, &error),
    };
    match Sink::new(plan, &layout, session.dialect(), &Refusals::default()) {
        Ok(sink) => {
            let how = if sink.is_atomic() {
                "atomic: an object's rows appear together"
            } else {
                "not atomic: an object's rows appear batch by batch"
            };
            Check::ok(NAME, format!("{}: {}, {how}", plan.target, sink.path().name()))
        }
        Err(error) => Check::failed(NAME, &error),
    }
}

async fn privileges(route: &Route, session: &mut Session, time: &Time) -> Check {
    const NAME: &str = "privileges";
    let is_hologres = session.dialect().is_hologres();
    let asking = rights::on_table(session, &route.table);
    let rights = match time.within("ask for the rights", BROKEN, asking).await {
        Ok(rights) => rights,
        Err(error) => return Check::untold(NAME, &error),
    };
    let need = rights.for_route(route, is_hologres);
    if need.missing.is_empty() {
        return Check::ok(NAME, format!("{}: `{}` has {}", route.table, rights.user, need.words.join(", ")));
    }
    let found =
        format!("{}: `{}` lacks what it needs of {}", route.table, rights.user, need.words.join(", "));
    let mut hint = format!("run as the table's owner: {}", need.missing.join("; "));
    if is_hologres {
        hint = format!("{hint}; {}", rights.simply(&route.table.schema, &need));
    }
    Check::fail(NAME, Class::Access, found, hint)
}

async fn look_at_ledger(ledger: &Ledger, session: &mut Session, time: &Time) -> Check {
    const NAME: &str = "ledger";
    let looked = time.within("look at the ledger", BROKEN, examined(ledger, session)).await;
    looked.unwrap_or_else(|error| Check::untold(NAME, &error))
}

async fn examined(ledger: &Ledger, session: &mut Session) -> Result<Check> {
    const NAME: &str = "ledger";
    let states = ledger::inspect(ledger, session).await?;
    let repairs: Vec<String> = states.iter().filter_map(ledger::TableState::repair).collect();
    if !repairs.is_empty() {
        let hint = format!("run as the tables' owner: {}", repairs.join("; "));
        return Ok(Check::fail(
            NAME,
            Class::Config,
            "its tables lack columns that this version writes",
            hint,
        ));
    }
    let mut missing = Vec::new();
    for state in states.iter().filter(|state| state.is_there) {
        missing.extend(rights::on_table(session, &state.name).await?.for_ledger(&state.name).missing);
    }
    if !missing.is_empty() {
        let hint = format!("run as the tables' owner: {}", missing.join("; "));
        return Ok(Check::fail(NAME, Class::Access, "its tables may not be written", hint));
    }
    if states.iter().all(|state| state.is_there) {
        return Ok(Check::ok(NAME, format!("{} and {} are there", ledger.ledger, ledger.fence)));
    }
    to_be_created(ledger, session).await
}

/// The first load creates what is missing, if it may.
async fn to_be_created(ledger: &Ledger, session: &mut Session) -> Result<Check> {
    const NAME: &str = "ledger";
    let schema = &ledger.ledger.schema;
    let statements = ledger::statements(ledger, session.dialect()).join("; ");
    Ok(match rights::may_create(session, schema).await? {
        Some((true, _)) => {
            Check::ok(NAME, format!("{} and {} are created by the first load", ledger.ledger, ledger.fence))
        }
        Some((false, user)) => {
            let found = format!("it is not there, and `{user}` may not create tables in schema `{schema}`");
            let grants = ledger::grants(ledger, &[], &user).join("; ");
            let mut hint = format!("run as the schema's owner: {statements}; {grants}");
            if session.dialect().is_hologres() {
                hint.push_str(
                    "; under Hologres's simple permission models a member of the `developer` group creates them",
                );
            }
            Check::fail(NAME, Class::Config, found, hint)
        }
        None => {
            let hint = format!(
                "create the schema, or name another one in HOLOLOAD_LEDGER (`ledger:`): {statements}"
            );
            Check::fail(NAME, Class::Config, format!("there is no schema `{schema}`"), hint)
        }
    })
}
