//! What may happen to a few objects: versions, deliveries, and what goes wrong with them.

use std::time::Duration;

use crate::random::Random;
use crate::support::proxy::Direction;

/// How an object's rows meet rows that are there, and so what the table must hold at the end. A further mode is a
/// further word here, a route in `place.rs` and an arm in `model.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Every object has its own keys.
    Upsert,
    /// The same over one copy of the whole object, on Hologres.
    Atomic,
    /// Objects share keys: the last commit wins.
    Shared,
    /// Objects share keys: `newer_by` decides.
    Newer,
    /// Every object has its own keys, and its rows need not appear together where they could.
    Parts,
    /// Every object has its own keys: of its rows the newest version's are there, and no others.
    Snapshot,
    /// Every object has its own keys, and a row may say that there is none.
    Changes,
    /// The same over INSERT where COPY would do.
    Inserted,
}

impl Mode {
    /// The first part of its objects' keys, by which the route is found.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Atomic => "atomic",
            Self::Shared => "shared",
            Self::Newer => "newer",
            Self::Parts => "parts",
            Self::Snapshot => "snapshot",
            Self::Changes => "changes",
            Self::Inserted => "inserted",
        }
    }

    /// Where there is no copy of a whole object, one batch by batch takes its place.
    fn unless_atomic(self, has_atomic: bool) -> Self {
        if self == Self::Atomic && !has_atomic { Self::Upsert } else { self }
    }

    fn shares_keys(self) -> bool {
        matches!(self, Self::Shared | Self::Newer)
    }

    pub(crate) fn has_changes(self) -> bool {
        matches!(self, Self::Changes | Self::Inserted)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: u32,
    /// Whose row it is: seed, object and version.
    pub(crate) name: String,
    pub(crate) cents: u32,
    pub(crate) seen: i64,
    /// How often the name stands in the column that makes rows long.
    pub(crate) pad: usize,
    /// No row, but the word that there is none.
    pub(crate) is_deletion: bool,
}

impl Row {
    fn line(&self, kind: Kind) -> String {
        if self.is_deletion {
            // Of such a row nothing but the key is read.
            return format!("D,{},,no amount,no number,{}\n", self.id, self.name);
        }
        let op = if kind == Kind::Changes { "U," } else { "" };
        let pad = format!("{}.", self.name).repeat(self.pad);
        format!(
            "{op}{},{},{}.{:02},{},{pad}\n",
            self.id,
            self.name,
            self.cents / 100,
            self.cents % 100,
            self.seen
        )
    }
}

/// What a version is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file of rows.
    #[default]
    Rows,
    /// A file in which each row says what has become of it.
    Changes,
    /// None: the object is removed, and an event says so.
    Removal,
}

/// The content of one version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) kind: Kind,
    /// In the order of the file; of two with one key the last, or the one that was seen last, counts.
    pub(crate) rows: Vec<Row>,
    /// Before so many rows stands one that is none.
    pub(crate) bad_at: Option<usize>,
}

impl Content {
    /// Rows with these ids that all bear the name.
    pub(crate) fn of(ids: impl IntoIterator<Item = u32>, name: &str, pad: usize) -> Self {
        let row =
            |id| Row { id, name: name.to_owned(), cents: id * 100 + 50, seen: 0, pad, is_deletion: false };
        Self { rows: ids.into_iter().map(row).collect(), ..Self::default() }
    }

    /// The object is removed.
    pub(crate) fn removal() -> Self {
        Self { kind: Kind::Removal, ..Self::default() }
    }

    /// The same as a file of changes, in which rows with these ids go.
    pub(crate) fn without(mut self, ids: impl IntoIterator<Item = u32>) -> Self {
        self.kind = Kind::Changes;
        let gone = Self::of(ids, "gone", 0).rows.into_iter();
        self.rows.extend(gone.map(|row| Row { is_deletion: true, ..row }));
        self
    }

    pub(crate) fn is_removal(&self) -> bool {
        self.kind == Kind::Removal
    }

    /// The status of a delivery of it that is followed.
    pub(crate) fn done(&self) -> &'static str {
        if self.is_removal() { "deleted" } else { "loaded" }
    }

    pub(crate) fn is_bad(&self) -> bool {
        self.bad_at.is_some()
    }

    pub(crate) fn text(&self) -> String {
        let op = if self.kind == Kind::Changes { ["Op,", "U,"] } else { [""; 2] };
        let mut text = format!("{}id,name,amount,seen,pad\n", op[0]);
        for (at, row) in self.rows.iter().enumerate() {
            if self.bad_at == Some(at) {
                text.push_str(&format!("{}no number,x,1,1,\n", op[1]));
            }
            text.push_str(&row.line(self.kind));
        }
        text
    }

    /// What the file says of a key, as the mode has it.
    pub(crate) fn row(&self, mode: Mode, id: u32) -> Option<&Row> {
        let mut rows = self.rows.iter().filter(|row| row.id == id);
        match mode {
            Mode::Newer => rows.max_by_key(|row| row.seen),
            _ => rows.next_back(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) key: String,
    /// Oldest first.
    pub(crate) versions: Vec<Content>,
}

/// What goes wrong with one delivery.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// The handler is killed (SIGKILL) so long after it was called.
    KillAfter(Duration),
    /// Or when so many bytes have gone to the database.
    KillAt {
        bytes: u64,
    },
    /// The connection to the database breaks once.
    Cut {
        direction: Direction,
        bytes: u64,
    },
    /// It breaks, and nobody reaches the database until the invocation is over.
    CutForGood {
        direction: Direction,
        bytes: u64,
    },
    /// Everything on the way to the database and back is held up: what this one writes comes late.
    SlowLink(Duration),
    /// The body breaks.
    BodyCut {
        bytes: u64,
    },
    BodyStall {
        bytes: u64,
        duration: Duration,
    },
    SlowDown,
    NoAnswer,
    /// The object is overwritten by its next version while it is read; with the cut, the reader has to come back.
    Overwrite {
        bytes: u64,
        is_cut: bool,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) object: usize,
    /// Chooses among the versions that are there by then.
    pub(crate) choice: u64,
    pub(crate) trouble: Option<Trouble>,
}

impl Delivery {
    pub(crate) const NEWEST: u64 = 0;
    pub(crate) const BEFORE_NEWEST: u64 = 4;
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The object's next version.
    Put(usize),
    /// In buckets without versions; no event tells of it.
    Delete(usize),
    /// At once, each to a handler of its own; all but the first so much later.
    Deliver(Vec<Delivery>, Duration),
}

/// What goes wrong how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temper {
    /// Everything now and then.
    Mixed,
    /// Two handlers at a time, of which one at least is killed.
    Kills,
}

impl Temper {
    /// A seed says everything of its history.
    pub(crate) fn of(seed: u64) -> Self {
        if seed.is_multiple_of(3) { Self::Kills } else { Self::Mixed }
    }
}

const MODES: [Mode; 8] = [
    Mode::Upsert,
    Mode::Shared,
    Mode::Newer,
    Mode::Atomic,
    Mode::Snapshot,
    Mode::Snapshot,
    Mode::Changes,
    Mode::Inserted,
];

#[derive(Debug)]
pub(crate) struct History {
    pub(crate) seed: u64,
    pub(crate) mode: Mode,
    pub(crate) temper: Temper,
    pub(crate) is_versioned: bool,
    pub(crate) objects: Vec<Object>,
    pub(crate) steps: Vec<Step>,
}

/// Ids of one object.
const KEYS: u32 = 1_000;
/// Of which a small version has some of the first.
const KEYS_SMALL: u32 = 12;
/// A version of several batches has this many rows and more, of about 8 KiB each.
const WIDE_ROWS: u64 = 140;
const WIDE_BYTES: usize = 8 * 1024;

impl History {
    pub(crate) fn random(seed: u64, has_atomic: bool) -> Self {
        let mut random = Random::new(seed);
        let mode = random.pick(&MODES).unless_atomic(has_atomic);
        let temper = Temper::of(seed);
        let is_versioned = random.chance(50);
        let object_count = if mode.shares_keys() { 2 + random.index(2) } else { 1 + random.index(3) };
        let mut seen: Vec<i64> = (1..=4 * 4).map(|number| number * 10).collect();
        random.shuffle(&mut seen);
        let objects = (0..object_count).map(|number| {
            let versions = 1 + random.index(4);
            let ids = if mode.shares_keys() { 0 } else { u32::try_from(number).expect("few") * KEYS };
            let versions = (0..versions).map(|version| {
                let name = format!("{seed}-{number}-{version}");
                let is_first = version == 0;
                if mode == Mode::Snapshot && !is_first && random.chance(30) {
                    return Content::removal();
                }
                content(&mut random, mode, &name, ids, seen.pop().unwrap_or(0))
            });
            Object { key: format!("{}/{seed}/{number}.csv", mode.prefix()), versions: versions.collect() }
        });
        let objects: Vec<Object> = objects.collect();
        // Where removals are followed each has an event.
        let may_vanish = !is_versioned && mode != Mode::Snapshot;
        let steps = steps(&mut random, &objects, temper, may_vanish);
        Self { seed, mode, temper, is_versioned, objects, steps }
    }
}

fn content(random: &mut Random, mode: Mode, name: &str, first_id: u32, seen: i64) -> Content {
    let is_wide = random.chance(22);
    let mut ids: Vec<u32> = if is_wide {
        let count = WIDE_ROWS + random.below(WIDE_ROWS + 40);
        let from = random.below(60);
        (from..from + count).map(|id| u32::try_from(id).expect("small")).collect()
    } else {
        (0..KEYS_SMALL).filter(|_| random.chance(60)).collect()
    };
    random.shuffle(&mut ids);
    let pad = if is_wide { WIDE_BYTES / (name.len() + 1) } else { 0 };
    let row = |random: &mut Random, id: u32, seen: i64, name: &str| Row {
        id: first_id + id,
        name: name.to_owned(),
        cents: u32::try_from(random.below(1_000_000)).expect("small"),
        seen,
        pad,
        is_deletion: mode.has_changes() && random.chance(35),
    };
    let mut rows = Vec::new();
    for id in &ids {
        // Now and then a file has a key twice: the first of them must never be seen.
        if random.chance(8) {
            rows.push(row(random, *id, seen - 5, &format!("{name}-twice")));
        }
    }
    rows.extend(ids.iter().map(|id| row(random, *id, seen, name)));
    let bad_at = (!rows.is_empty() && random.chance(6)).then(|| random.index(rows.len()));
    let kind = if mode.has_changes() { Kind::Changes } else { Kind::Rows };
    Content { kind, rows, bad_at }
}

fn steps(random: &mut Random, objects: &[Object], temper: Temper, may_vanish: bool) -> Vec<Step> {
    let mut puts: Vec<usize> = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        puts.extend(vec![number; object.versions.len()]);
    }
    random.shuffle(&mut puts);
    let mut steps = Vec::new();
    let mut put: Vec<usize> = Vec::new();
    while let Some(object) = puts.pop() {
        steps.push(Step::Put(object));
        put.push(object);
        if may_vanish && random.chance(3) {
            steps.push(Step::Delete(object));
        }
        // Puts that nothing is delivered between are deliveries that come late.
        if random.chance(25) && temper == Temper::Mixed {
            continue;
        }
        let next = puts.iter().rposition(|other| *other == object);
        if let Some(next) = next.filter(|_| temper == Temper::Mixed && random.chance(45)) {
            let next = puts.remove(next);
            if random.chance(60) {
                // Two versions of which nothing has been delivered yet.
                steps.push(Step::Put(next));
                steps.push(overtaking(random, object));
            } else {
                steps.push(overwriting(random, object));
            }
            continue;
        }
        let at_once = if temper == Temper::Kills || random.chance(55) { 2 } else { 1 };
        // Mostly the object that was just put, now and then one of the others.
        let deliveries = (0..at_once).map(|number| {
            let object = if random.chance(75) { object } else { put[random.index(put.len())] };
            let is_killed = temper == Temper::Kills && (number == 0 || random.chance(30));
            let trouble = if is_killed { Some(kill(random)) } else { trouble(random, temper) };
            Delivery { object, choice: random.next(), trouble }
        });
        let deliveries = deliveries.collect();
        let later = if random.chance(30) { Duration::from_millis(random.scaled(7)) } else { Duration::ZERO };
        steps.push(Step::Deliver(deliveries, later));
    }
    steps
}

/// The next version is put while the newest is read.
fn overwriting(random: &mut Random, object: usize) -> Step {
    let overwrite = Trouble::Overwrite { bytes: random.scaled(7), is_cut: random.chance(60) };
    let delivery = Delivery { object, choice: Delivery::NEWEST, trouble: Some(overwrite) };
    Step::Deliver(vec![delivery], Duration::ZERO)
}

/// The newest version comes while the one before it is at work, slowly.
fn overtaking(random: &mut Random, object: usize) -> Step {
    let delay_ms = 12 + random.below(24);
    let slow = Trouble::SlowLink(Duration::from_millis(delay_ms));
    let older = Delivery { object, choice: Delivery::BEFORE_NEWEST, trouble: Some(slow) };
    let newer = Delivery { object, choice: Delivery::NEWEST, trouble: None };
    // Claims take three or four exchanges, rows come after them.
    let later_ms = delay_ms * 5 + random.below(delay_ms * 9);
    Step::Deliver(vec![older, newer], Duration::from_millis(later_ms))
}

fn kill(random: &mut Random) -> Trouble {
    if random.chance(50) {
        Trouble::KillAfter(Duration::from_micros(random.scaled(17)))
    } else {
        Trouble::KillAt { bytes: random.scaled(21) }
    }
}

fn trouble(random: &mut Random, temper: Temper) -> Option<Trouble> {
    let direction = random.pick(&[Direction::ToServer, Direction::ToServer, Direction::ToClient]);
    let bytes = random.scaled(if direction == Direction::ToServer { 21 } else { 12 });
    let body_bytes = random.scaled(20);
    if random.chance(15) {
        return Some(Trouble::SlowLink(Duration::from_millis(random.scaled(5))));
    }
    if temper == Temper::Kills || random.chance(35) {
        return None;
    }
    Some(match random.below(100) {
        0..27 => kill(random),
        27..47 => Trouble::Cut { direction, bytes },
        47..53 => Trouble::CutForGood { direction, bytes },
        53..64 => Trouble::BodyCut { bytes: body_bytes },
        64..72 => {
            let duration = Duration::from_millis(random.scaled(6));
            Trouble::BodyStall { bytes: body_bytes, duration }
        }
        72..76 => Trouble::SlowDown,
        76..80 => Trouble::NoAnswer,
        _ => Trouble::Overwrite { bytes: body_bytes, is_cut: random.chance(60) },
    })
}
