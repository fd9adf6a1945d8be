//! What the table and the ledger must hold once deliveries have stopped. Pure: facts in, violations out.
//!
//! The letters are those of docs/SEMANTICS.md. Where a write path is not atomic (Hologres), a version that was never
//! loaded, but cut off in the middle, may have left rows under keys that no version loaded after it has; nothing else is
//! let pass. The same holds for `atomic: false` on PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Content, Mode, Object, Row};
use crate::place::{Dialect, Line};

/// What became of one version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate {
    /// As the ledger has it; empty for a version that was never put.
    pub(crate) sequencer: String,
    /// Statuses of the answers that were answers of success.
    pub(crate) answers: Vec<String>,
    /// A load of it may have been stopped half-way: something went wrong with it, or another one was in its way.
    pub(crate) is_touched: bool,
    /// Bytes of it can be read no more: deleted, or overwritten in a bucket without versions.
    pub(crate) is_gone: bool,
}

pub(crate) struct Facts<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) mode: Mode,
    pub(crate) objects: &'a [Object],
    /// For each object its versions', oldest first.
    pub(crate) fates: &'a [Vec<Fate>],
    pub(crate) lines: &'a [Line],
    pub(crate) rows: &'a [Row],
}

/// One version with what became of it. A removal is one as well, and loaded when it was followed.
struct Version<'a> {
    number: usize,
    content: &'a Content,
    fate: &'a Fate,
    lines: Vec<&'a Line>,
    is_loaded: bool,
}

/// What may stand under a key.
#[derive(Default)]
struct Allowed<'a> {
    rows: Vec<&'a Row>,
    may_be_absent: bool,
}

/// Everything that is not as promised.
pub(crate) fn violations(facts: &Facts<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let objects: Vec<Vec<Version<'_>>> =
        (0..facts.objects.len()).map(|number| versions(facts, number)).collect();
    for (number, versions) in objects.iter().enumerate() {
        for version in versions {
            check_lines(facts, number, version, &mut found);
        }
        check_newest(facts, number, versions, &mut found);
        check_order(facts, number, versions, &mut found);
    }
    check_rows(facts, &objects, &mut found);
    found
}

fn versions<'a>(facts: &'a Facts<'_>, object: usize) -> Vec<Version<'a>> {
    let Object { key, versions } = &facts.objects[object];
    let all = versions.iter().zip(&facts.fates[object]).enumerate();
    let put = all.filter(|(_, (_, fate))| !fate.sequencer.is_empty());
    put.map(|(number, (content, fate))| {
        let is_own = |line: &&Line| line.key == *key && line.sequencer == fate.sequencer;
        let lines: Vec<&Line> = facts.lines.iter().filter(is_own).collect();
        let says = |status: &str| lines.iter().any(|line| line.status == status);
        let done = content.done();
        // On Hologres the line is written after the fence: a worker that died in between leaves only the fence's word,
        // which the next delivery repeats as `skipped`.
        let is_loaded = says(done)
            || facts.dialect == Dialect::Hologres
                && (says("skipped") || fate.answers.iter().any(|answer| answer == done));
        Version { number, content, fate, lines, is_loaded }
    })
    .collect()
}

/// Every version ends in one status that explains itself.
fn check_lines(facts: &Facts<'_>, object: usize, version: &Version<'_>, found: &mut Vec<String>) {
    let mut say =
        |what: String| found.push(format!("(2) object {object}, version {}: {what}", version.number));
    let statuses: Vec<&str> = version.lines.iter().map(|line| line.status.as_str()).collect();
    for line in &version.lines {
        let is_explained = match line.status.as_str() {
            "loaded" => !line.has_reason && !line.has_error,
            "failed" => line.has_error,
            "skipped" | "superseded" | "deleted" | "continued" => line.has_reason,
            _ => false,
        };
        if !is_explained {
            say(format!("its line `{}` does not explain itself", line.status));
        }
    }
    if statuses.iter().filter(|status| **status == "loaded").count() > 1 {
        say(format!("loaded more than once: {statuses:?}"));
    }
    if !version.fate.answers.is_empty() && statuses.is_empty() {
        say(format!("answered {:?}, and no line in the ledger", version.fate.answers));
    }
    let is_final = match version.lines.last() {
        None => false,
        Some(line) if version.content.is_bad() && line.status == "failed" => line.class == "Input",
        Some(line) => ["loaded", "skipped", "superseded", "deleted"].contains(&line.status.as_str()),
    };
    if !is_final {
        say(format!("no final status: {statuses:?}"));
    }
    if version.content.is_bad() && version.is_loaded {
        say("loaded, although it has a bad row".to_owned());
    }
    let is_claimed = |status: &str| version.fate.answers.iter().any(|answer| answer == status);
    if facts.dialect == Dialect::PostgreSql
        && (is_claimed("loaded") || is_claimed("skipped"))
        && !version.is_loaded
    {
        say(format!("answered {:?}, and no line `loaded`", version.fate.answers));
    }
}

/// The newest version that can be loaded has been.
fn check_newest(facts: &Facts<'_>, object: usize, versions: &[Version<'_>], found: &mut Vec<String>) {
    let Some(newest) = versions.last() else { return };
    let must_load = match facts.dialect {
        _ if newest.fate.is_gone && !newest.content.is_removal() => None,
        _ if !newest.content.is_bad() => Some(newest),
        // One that failed for its content leaves the place to the one before it, where that can still be read; on Hologres
        // its claim stands, and the one before it is superseded, as by a part of it.
        Dialect::PostgreSql if facts.mode != Mode::Parts => {
            // A removal that was not the last word has found the object there again, or was followed.
            let may_be = |version: &&Version<'_>| {
                let is_readable = !version.content.is_bad() && !version.fate.is_gone;
                if version.content.is_removal() { version.is_loaded } else { is_readable }
            };
            versions.iter().rev().find(may_be)
        }
        Dialect::PostgreSql | Dialect::Hologres => None,
    };
    if let Some(version) = must_load.filter(|version| !version.is_loaded) {
        found.push(format!("(a) object {object}: its newest version {} was never loaded", version.number));
    }
}

/// No version is loaded after a newer one. On Hologres lines are written after the fact and do not tell.
fn check_order(facts: &Facts<'_>, object: usize, versions: &[Version<'_>], found: &mut Vec<String>) {
    if facts.dialect == Dialect::Hologres {
        return;
    }
    let number = |line: &Line| {
        let is_done = |version: &Version<'_>| line.status == version.content.done();
        versions.iter().position(|version| version.fate.sequencer == line.sequencer && is_done(version))
    };
    let loaded = facts.lines.iter().filter(|line| line.key == facts.objects[object].key);
    let order: Vec<usize> = loaded.filter_map(number).collect();
    if order.windows(2).any(|pair| pair[0] >= pair[1]) {
        found.push(format!("(b) object {object}: its versions were loaded in the order {order:?}"));
    }
}

fn check_rows(facts: &Facts<'_>, objects: &[Vec<Version<'_>>], found: &mut Vec<String>) {
    let table: BTreeMap<u32, &Row> = facts.rows.iter().map(|row| (row.id, row)).collect();
    let contents = objects.iter().flatten().map(|version| version.content);
    let mut ids: BTreeSet<u32> = contents.flat_map(|content| content.rows.iter().map(|row| row.id)).collect();
    ids.extend(table.keys());
    let replayed = replay(facts, objects);
    for id in ids {
        let row = table.get(&id).copied();
        let allowed = match facts.mode {
            Mode::Newer => newest_seen(facts, objects, id),
            Mode::Snapshot => exactly(facts, objects, id),
            _ => any_of(facts, objects, id),
        };
        let is_allowed = row.map_or(allowed.may_be_absent, |row| allowed.rows.contains(&row));
        if !is_allowed {
            found.push(explain(facts.mode, objects, id, row));
        } else if let Some(replayed) = &replayed
            && replayed.get(&id) != row.as_ref()
        {
            found.push(format!("(c) row {id} is not what the commits of the ledger come to: {}", named(row)));
        }
    }
}

/// Each object by itself: the row of its newest loaded version that has the key.
fn any_of<'a>(facts: &Facts<'_>, objects: &[Vec<Version<'a>>], id: u32) -> Allowed<'a> {
    let mut all = Allowed { rows: Vec::new(), may_be_absent: true };
    for versions in objects {
        let best = versions
            .iter()
            .rposition(|version| version.is_loaded && version.content.row(facts.mode, id).is_some());
        let later = &versions[best.map_or(0, |best| best + 1)..];
        let best = best.and_then(|best| versions[best].content.row(facts.mode, id));
        let left: Vec<&Row> = parts(facts, later).filter(|row| row.id == id).collect();
        all.may_be_absent &= best.is_none_or(|row| row.is_deletion) || left.iter().any(|row| row.is_deletion);
        all.rows.extend(best.into_iter().chain(left).filter(|row| !row.is_deletion));
    }
    all
}

/// Each object by itself: the row of its newest loaded version, and none that this one does not have. What a part of an
/// older one left has gone with it.
fn exactly<'a>(facts: &Facts<'_>, objects: &[Vec<Version<'a>>], id: u32) -> Allowed<'a> {
    let mut all = Allowed { rows: Vec::new(), may_be_absent: true };
    for versions in objects {
        let best = versions.iter().rposition(|version| version.is_loaded);
        let later = &versions[best.map_or(0, |best| best + 1)..];
        let row = best.and_then(|best| versions[best].content.row(facts.mode, id));
        // One that was cut off after its own delete has taken the row along.
        let has_deleted = later.iter().any(|version| may_leave(facts, version) && !version.content.is_bad());
        all.may_be_absent &= row.is_none() || has_deleted;
        all.rows.extend(row.into_iter().chain(parts(facts, later).filter(|row| row.id == id)));
    }
    all
}

/// The row that was seen last, of all that were loaded.
fn newest_seen<'a>(facts: &Facts<'_>, objects: &[Vec<Version<'a>>], id: u32) -> Allowed<'a> {
    let loaded = objects.iter().flatten().filter(|version| version.is_loaded);
    let best = loaded.filter_map(|version| version.content.row(Mode::Newer, id)).max_by_key(|row| row.seen);
    let mut rows: Vec<&Row> = best.into_iter().collect();
    for versions in objects {
        let own = parts(facts, versions).filter(|row| row.id == id);
        rows.extend(own.filter(|row| best.is_none_or(|best| best.seen < row.seen)));
    }
    Allowed { rows, may_be_absent: best.is_none() }
}

/// Whether a version that was never loaded may have written something all the same.
fn may_leave(facts: &Facts<'_>, version: &Version<'_>) -> bool {
    !is_whole(facts) && !version.is_loaded && (version.fate.is_touched || version.content.is_bad())
}

/// Rows, ledger and fence commit together.
fn is_whole(facts: &Facts<'_>) -> bool {
    facts.dialect == Dialect::PostgreSql && facts.mode != Mode::Parts
}

/// What versions that were cut off in the middle may have left.
fn parts<'v, 'a: 'v>(facts: &'v Facts<'_>, versions: &'v [Version<'a>]) -> impl Iterator<Item = &'a Row> {
    versions.iter().filter(|version| may_leave(facts, version)).flat_map(|version| &version.content.rows)
}

/// Where rows, ledger and fence commit together: the loads of the ledger, one after the other.
fn replay<'a>(facts: &Facts<'_>, objects: &[Vec<Version<'a>>]) -> Option<BTreeMap<u32, &'a Row>> {
    if !is_whole(facts) {
        return None;
    }
    let mut table: BTreeMap<u32, &Row> = BTreeMap::new();
    for line in facts.lines {
        let version = objects.iter().enumerate().find_map(|(number, versions)| {
            let is_own = facts.objects[number].key == line.key;
            versions.iter().find(|version| is_own && version.fate.sequencer == line.sequencer)
        });
        let Some(version) = version.filter(|version| line.status == version.content.done()) else { continue };
        if facts.mode == Mode::Snapshot {
            let of_others = facts.objects.iter().filter(|object| object.key != line.key);
            let kept: BTreeSet<u32> = of_others
                .flat_map(|object| object.versions.iter().flat_map(|content| &content.rows))
                .map(|row| row.id)
                .collect();
            table.retain(|id, _| kept.contains(id));
        }
        let ids: BTreeSet<u32> = version.content.rows.iter().map(|row| row.id).collect();
        for row in ids.iter().filter_map(|id| version.content.row(facts.mode, *id)) {
            let is_kept =
                facts.mode == Mode::Newer && table.get(&row.id).is_some_and(|held| held.seen >= row.seen);
            if row.is_deletion {
                table.remove(&row.id);
            } else if !is_kept {
                table.insert(row.id, row);
            }
        }
    }
    Some(table)
}

/// Which promise a row breaks.
fn explain(mode: Mode, objects: &[Vec<Version<'_>>], id: u32, row: Option<&Row>) -> String {
    let owner = row.and_then(|row| {
        objects.iter().enumerate().find_map(|(object, versions)| {
            let version = versions.iter().position(|version| version.content.rows.contains(row))?;
            Some((object, version))
        })
    });
    let says = |versions: &[Version<'_>]| {
        versions.iter().rposition(|version| version.is_loaded && version.content.row(mode, id).is_some())
    };
    let (row, row_is_there) = (named(row), row.is_some());
    match owner {
        None if row_is_there => format!("(a) row {id} is nobody's: {row}"),
        None => {
            let is_newest = |versions: &&Vec<Version<'_>>| {
                versions.last().is_some_and(|newest| newest.content.row(mode, id).is_some())
            };
            let promise = if objects.iter().any(|versions| is_newest(&versions)) { "(a)" } else { "(c)" };
            format!("{promise} row {id} is missing")
        }
        Some((object, version)) if mode == Mode::Snapshot => {
            let of = objects[object][version].number;
            format!("(d) row {id} is of version {of} of object {object}: {row}")
        }
        Some(_) if mode == Mode::Newer => format!("(e) row {id} is not the newest: {row}"),
        Some((object, version)) => {
            let promise = if says(&objects[object]) > Some(version) { "(b)" } else { "(c)" };
            let of = objects[object][version].number;
            format!("{promise} row {id} is of version {of} of object {object}: {row}")
        }
    }
}

fn named(row: Option<&Row>) -> String {
    row.map_or_else(
        || "none".to_owned(),
        |row| {
            format!(
                "{} {}.{:02} seen {} pad {}",
                row.name,
                row.cents / 100,
                row.cents % 100,
                row.seen,
                row.pad
            )
        },
    )
}
