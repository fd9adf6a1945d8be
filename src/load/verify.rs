//! An object read once more as a load would read it, and compared with the table instead of written.
//!
//! Memory is bounded by batches and by the rows that differ: only keys that were found to differ somewhere in the file are
//! kept, and a second reading says which of the file's rows of such a key is the one that counts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::facts::Facts;
use super::intake::Intake;
use super::stream::fill;
use super::{Invocation, bring, facts, pinned, plan};
use crate::context::Context;
use crate::database::Dialect;
use crate::error::{Error, Result};
use crate::object::body::ObjectBody;
use crate::object::{ObjectVersion, Request, STDIN_BUCKET};
use crate::plan::{Destination, Layout, Metadata, Plan};
use crate::report::SAMPLE_MAX;
use crate::settings::WriteMode;
use crate::sink::{Batch, Compared, Lookup, Print, Sink};
use crate::table::Kind;

/// Keys that are kept because a row of theirs differs: some dozens of megabytes.
const SUSPECTS_MAX: usize = 500_000;

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    /// Address of the object.
    pub object: String,
    /// Version that was read.
    pub version_id: Option<String>,
    /// `ETag` of what was read.
    pub etag: Option<String>,
    /// The table.
    pub table: String,
    /// Every row of the file is in the table as it is in the file.
    pub is_equal: bool,
    /// Rows read.
    pub row_count: u64,
    /// Bad rows, which are compared with nothing.
    pub reject_count: u64,
    /// Rows that gave way to another one of the same key (within batches).
    pub duplicate_count: u64,
    /// Rows that are the same.
    pub equal_count: u64,
    /// Rows whose key is in the table with other values.
    pub different_count: u64,
    /// Rows whose key is not in the table.
    pub missing_count: u64,
    /// Rows that the file deletes and that are in the table.
    pub undeleted_count: u64,
    /// Lines of the first rows that are not as they should be.
    pub lines: Vec<u64>,
    /// Sum over the rows of the file, whatever their order.
    pub file_checksum: String,
    /// The same over the table's rows of these keys.
    pub table_checksum: String,
    /// Columns that were not compared.
    pub uncompared: Vec<String>,
    /// More rows differ than are kept: counting was given up.
    pub is_cut_short: bool,
}

/// A key of which some row of the file is not as it is in the table.
struct Suspect {
    table: Option<Print>,
    /// The row that counts: what it is, where it stands, how new it is.
    winner: Option<Winner>,
}

struct Winner {
    print: Print,
    line: u64,
    age: Option<i64>,
    is_delete: bool,
}

/// Reads the object and compares it with its table.
///
/// # Errors
/// Whatever would keep a load from reading it; `Config` where rows have no key to be found by.
pub async fn verify(
    context: &mut Context,
    request: &Request,
    invocation: &Invocation<'_>,
) -> Result<Verdict> {
    if request.object.bucket == STDIN_BUCKET {
        return Err(Error::config("verify standard input: it cannot be read twice")
            .with_hint("name the file or the object"));
    }
    let route = match context.planner.destination(&request.object)? {
        Destination::Route(route) => route,
        Destination::Ignored(reason) => {
            return Err(Error::config(format!("verify `{}`: {reason}", request.object))
                .with_hint("name a table with --table, or add a route"));
        }
    };
    if matches!(route.mode, WriteMode::Insert | WriteMode::Ignore) {
        let mode = route.mode.name();
        return Err(Error::config(format!("mode `{mode}` does not make the table what the file says"))
            .with_hint("objects that are loaded with `upsert` or `replace` can be compared"));
    }
    let request = pinned(context, request).await?;
    context.bare_session().await?;
    let plan = plan(context, route).await?;
    let mut check = Check::new(context, &plan, &request)?;
    let body = bring::open(context.aws.as_ref(), &request.object, &request.version, &plan.route, 0).await?;
    check.verdict.version_id.clone_from(&body.version.version_id);
    check.verdict.etag.clone_from(&body.version.etag);
    let version = body.version.clone();
    check.read(context, body, invocation, Pass::First).await?;
    if !check.suspects.is_empty() {
        let body = bring::open(context.aws.as_ref(), &request.object, &version, &plan.route, 0).await?;
        check.read(context, body, invocation, Pass::Second).await?;
    }
    Ok(check.end())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Compares.
    First,
    /// Settles the rows of keys that differ.
    Second,
}

struct Check<'a> {
    plan: &'a Plan,
    facts: Facts,
    dialect: Dialect,
    suspects: BTreeMap<u128, Suspect>,
    sums: [u64; 2],
    verdict: Verdict,
}

impl<'a> Check<'a> {
    fn new(context: &mut Context, plan: &'a Plan, request: &Request) -> Result<Self> {
        let trace = super::Trace { version: request.version.clone(), ..super::Trace::default() };
        let verdict = Verdict {
            object: request.object.address(),
            table: plan.table.name.to_string(),
            ..Verdict::default()
        };
        Ok(Self {
            plan,
            facts: facts(request, &trace, None),
            dialect: context.standing_session()?.dialect(),
            suspects: BTreeMap::new(),
            sums: [0; 2],
            verdict,
        })
    }

    async fn read(
        &mut self,
        context: &mut Context,
        mut body: ObjectBody,
        invocation: &Invocation<'_>,
        pass: Pass,
    ) -> Result<()> {
        let content_type = body.content_type.clone();
        let facts = Facts { version: identity(&body.version), content_type, ..self.facts.clone() };
        let planner = &context.planner;
        let mut intake = Intake::new(self.plan, planner.zone(), planner.limits(), self.dialect, facts);
        let mut batch = Batch::default();
        let mut tools: Option<(Sink, Lookup, Option<usize>)> = None;
        let mut is_at_end = false;
        while !is_at_end && !self.verdict.is_cut_short {
            fill(&mut body, &mut intake, &mut is_at_end, &mut batch, None).await?;
            if tools.is_none()
                && let Some(layout) = intake.layout()
            {
                let sink = Sink::new(self.plan, layout, self.dialect, &context.refusals)?;
                let lookup = self.lookup(layout)?;
                tools = Some((sink, lookup, layout.newer_slot));
            }
            if let Some((sink, lookup, newer_slot)) = &mut tools {
                let duplicates = sink.settle(&mut batch);
                match pass {
                    Pass::First => {
                        self.verdict.duplicate_count += duplicates;
                        self.compare(context, lookup, &batch).await?;
                    }
                    Pass::Second => self.settle(lookup, &batch, *newer_slot),
                }
            }
            if let Some(progress) = invocation.progress {
                progress(body.offset(), body.version.size, intake.row_count);
            }
            batch.clear();
        }
        if pass == Pass::First {
            self.verdict.row_count = intake.row_count;
            self.verdict.reject_count = intake.rejects.count();
            if !self.verdict.is_cut_short {
                intake.verdict()?;
            }
        }
        Ok(())
    }

    /// Values that a load makes anew each time, or that only the delivery knew, cannot be compared; nor can those of types
    /// whose form only the server knows.
    fn lookup(&mut self, layout: &Layout) -> Result<Lookup> {
        let soft = self.plan.route.operation.as_ref().and_then(|operation| operation.soft_delete.as_deref());
        let is_passing = |name: &str| {
            let is_filled = self.plan.route.columns.iter().any(|(filled, metadata)| {
                filled == name
                    && matches!(metadata, Metadata::LoadedAt | Metadata::EventTime | Metadata::Sequencer)
            });
            is_filled || soft == Some(name)
        };
        let column = |slot: usize| self.plan.table.columns.get(layout.slots.get(slot)?.column);
        let is_compared = |slot: usize| {
            column(slot).is_some_and(|column| {
                column.kind != Kind::Other && !(is_passing(&column.name) && column.kind != Kind::Bool)
            })
        };
        let slots = layout.key_count..layout.slots.len();
        let uncompared = slots.filter(|slot| !is_compared(*slot)).filter_map(column);
        self.verdict.uncompared = uncompared.map(|column| column.name.clone()).collect();
        let has_known_key = (0..layout.key_count).all(&is_compared);
        let lookup = Lookup::new(self.plan, layout, self.dialect, is_compared).filter(|_| has_known_key);
        lookup.ok_or_else(|| {
            Error::config(format!(
                "the key of table `{}` is none that rows can be looked up by",
                self.plan.table.name
            ))
            .with_hint("verify needs a primary key of types that holoload knows, all of it in the file")
        })
    }

    async fn compare(&mut self, context: &mut Context, lookup: &mut Lookup, batch: &Batch) -> Result<()> {
        let session = context.standing_session()?;
        for Compared { key, file, table } in lookup.compare(session, batch, batch.settled()).await? {
            if table == Some(file) {
                self.verdict.equal_count += 1;
                self.add(Some(file), table);
            } else {
                self.suspects.insert(key, Suspect { table, winner: None });
            }
        }
        for Compared { key, table, .. } in lookup.compare(session, batch, batch.removed()).await? {
            if table.is_some() {
                self.suspects.insert(key, Suspect { table, winner: None });
            }
        }
        self.verdict.is_cut_short = self.suspects.len() > SUSPECTS_MAX;
        Ok(())
    }

    /// Across batches rows of one key are settled as the table settles them.
    fn settle(&mut self, lookup: &Lookup, batch: &Batch, newer_slot: Option<usize>) {
        for row in batch.settled().iter().chain(batch.removed()) {
            let (key, print) = lookup.of_row(batch, *row);
            let Some(suspect) = self.suspects.get_mut(&key) else { continue };
            let age = newer_slot.and_then(|slot| batch.age_by(*row, slot));
            let is_older =
                suspect.winner.as_ref().is_some_and(|winner| newer_slot.is_some() && winner.age >= age);
            if !is_older {
                let line = batch.row(*row as usize).map_or(0, |(row, _)| row.position.line);
                suspect.winner = Some(Winner { print, line, age, is_delete: batch.is_delete(*row) });
            }
        }
    }

    fn add(&mut self, file: Option<Print>, table: Option<Print>) {
        for (sum, print) in self.sums.iter_mut().zip([file, table]) {
            *sum = sum.wrapping_add(print.unwrap_or(0));
        }
    }

    fn end(mut self) -> Verdict {
        let mut lines = Vec::new();
        for suspect in std::mem::take(&mut self.suspects).into_values() {
            let Some(winner) = suspect.winner else { continue };
            let count = match (winner.is_delete, suspect.table) {
                (true, None) => continue,
                (true, Some(_)) => &mut self.verdict.undeleted_count,
                // The row that counts is the one that was found in the table, and counted.
                (false, Some(table)) if table == winner.print => continue,
                (false, Some(_)) => &mut self.verdict.different_count,
                (false, None) => &mut self.verdict.missing_count,
            };
            *count += 1;
            lines.push(winner.line);
            self.add(Some(winner.print).filter(|_| !winner.is_delete), suspect.table);
        }
        lines.sort_unstable();
        lines.truncate(SAMPLE_MAX);
        let [file, table] = self.sums;
        let is_equal = lines.is_empty() && !self.verdict.is_cut_short;
        Verdict {
            is_equal,
            lines,
            file_checksum: format!("{file:016x}"),
            table_checksum: format!("{table:016x}"),
            ..self.verdict
        }
    }
}

fn identity(version: &ObjectVersion) -> Option<String> {
    version.identity().map(str::to_owned)
}
