//! Plays a history against the real thing and keeps what became of it.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::history::{Content, Delivery, History, Mode, Object, Step, Temper, Trouble};
use crate::model::{Facts, Fate, violations};
use crate::place::{HANDLERS, Handler, Place};
use crate::random::Random;
use crate::support::runtime_api::Outcome;
use crate::support::s3::{Fault, On, Stored};
use crate::support::wait_until;
use crate::world::status;

/// Longer than anything takes that is not stuck.
const INVOCATION_MS: u64 = 30_000;
/// Of an invocation that the database is out of reach for: one attempt and one more.
const SHORT_MS: u64 = 1_500;
/// A server notices within milliseconds that the reader has gone.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// Of a delivery that nothing is wrong with any more.
const REDELIVERIES_MAX: usize = 12;

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) histories: u64,
    pub(crate) versions: u64,
    pub(crate) deliveries: u64,
    pub(crate) at_once: u64,
    pub(crate) redeliveries: u64,
    pub(crate) kills: u64,
    pub(crate) cuts: u64,
    pub(crate) body_faults: u64,
    pub(crate) overwrites: u64,
    pub(crate) loaded: u64,
    pub(crate) skipped: u64,
    pub(crate) superseded: u64,
    pub(crate) continued: u64,
    pub(crate) deleted: u64,
    pub(crate) failed: u64,
}

/// Bodies come so slowly, and invocations are so short, that an object takes several of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) chunk_bytes: u64,
    pub(crate) pause: Duration,
    pub(crate) deadline_ms: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.histories += other.histories;
        self.versions += other.versions;
        self.deliveries += other.deliveries;
        self.at_once += other.at_once;
        self.redeliveries += other.redeliveries;
        self.kills += other.kills;
        self.cuts += other.cuts;
        self.body_faults += other.body_faults;
        self.overwrites += other.overwrites;
        self.loaded += other.loaded;
        self.skipped += other.skipped;
        self.superseded += other.superseded;
        self.continued += other.continued;
        self.deleted += other.deleted;
        self.failed += other.failed;
    }
}

/// Objects whose versions are put and delivered one by one.
pub(crate) struct Play<'a> {
    pub(crate) place: &'a Place,
    pub(crate) mode: Mode,
    bucket: String,
    is_versioned: bool,
    pub(crate) objects: Vec<Object>,
    pub(crate) stored: Vec<Vec<Option<Stored>>>,
    pub(crate) fates: Vec<Vec<Fate>>,
    /// Deliveries that were not answered as done.
    owed: Vec<(usize, usize)>,
    pub(crate) journal: Vec<String>,
    pub(crate) counts: Counts,
    /// After the first of several deliveries at once the others wait so long.
    later: Duration,
    /// The handler that is next.
    pub(crate) turn: usize,
    /// Until deliveries settle.
    pub(crate) pace: Option<Pace>,
}

/// How one delivery went.
struct Delivered {
    object: usize,
    version: usize,
    slot: usize,
    outcome: Outcome,
    was_cut: bool,
    elapsed: Duration,
}

impl<'a> Play<'a> {
    pub(crate) fn new(place: &'a Place, mode: Mode, is_versioned: bool, objects: Vec<Object>) -> Self {
        place.clear();
        let stored = objects.iter().map(|object| vec![None; object.versions.len()]).collect();
        let fates = objects.iter().map(|object| vec![Fate::default(); object.versions.len()]).collect();
        let bucket = place.bucket(is_versioned);
        let (owed, journal, counts) = (Vec::new(), Vec::new(), Counts { histories: 1, ..Counts::default() });
        Self {
            place,
            mode,
            bucket,
            is_versioned,
            objects,
            stored,
            fates,
            owed,
            journal,
            counts,
            later: Duration::ZERO,
            turn: 0,
            pace: None,
        }
    }

    /// One object under a key of its own.
    pub(crate) fn of_one(
        place: &'a Place,
        mode: Mode,
        is_versioned: bool,
        name: &str,
        versions: Vec<Content>,
    ) -> Self {
        let key = format!("{}/{name}.csv", mode.prefix());
        Self::new(place, mode, is_versioned, vec![Object { key, versions }])
    }

    /// How many versions of an object are there.
    fn put_count(&self, object: usize) -> usize {
        self.stored[object].iter().flatten().count()
    }

    /// Puts the object's next version, if it has one more.
    pub(crate) fn put(&mut self, object: usize) {
        let version = self.put_count(object);
        let Some(content) = self.objects[object].versions.get(version) else { return };
        let (s3, key) = (self.place.s3(), &self.objects[object].key);
        if content.is_removal() {
            let stored = s3.delete(&self.bucket, key);
            self.note_put(object, version, stored, "remove");
        } else {
            let stored = s3.put(&self.bucket, key, content.text());
            self.note_put(object, version, stored, "put");
        }
    }

    /// The object's next version is put with other bytes than it should have.
    pub(crate) fn put_as(&mut self, object: usize, text: String) {
        let stored = self.place.s3().put(&self.bucket, &self.objects[object].key, text);
        self.note_put(object, self.put_count(object), stored, "put with other bytes");
    }

    fn note_put(&mut self, object: usize, version: usize, stored: Stored, how: &str) {
        let content = &self.objects[object].versions[version];
        let bad = if content.is_bad() { ", one of them bad" } else { "" };
        self.journal.push(format!(
            "{how} {object}.{version}: {} rows{bad}, {} bytes",
            content.rows.len(),
            stored.size
        ));
        if !self.is_versioned {
            self.lose(object);
        }
        stored.sequencer.trim_end_matches('0').clone_into(&mut self.fates[object][version].sequencer);
        self.stored[object][version] = Some(stored);
        self.counts.versions += 1;
    }

    /// What is there now can be read no more.
    fn lose(&mut self, object: usize) {
        for fate in &mut self.fates[object] {
            fate.is_gone |= !fate.sequencer.is_empty();
        }
    }

    pub(crate) fn delete(&mut self, object: usize) {
        self.place.s3().delete(&self.bucket, &self.objects[object].key);
        self.journal.push(format!("delete {object}"));
        self.lose(object);
    }

    /// Delivers some versions at once, each to a handler of its own; what goes wrong is done to it.
    pub(crate) fn deliver(&mut self, deliveries: &[(usize, usize, Option<&Trouble>)]) -> Vec<String> {
        let first = self.turn;
        self.turn += deliveries.len();
        for (object, _, trouble) in deliveries {
            self.prepare(*object, *trouble);
        }
        let this = &*self;
        let delivered: Vec<Delivered> = thread::scope(|scope| {
            let all = deliveries.iter().enumerate().map(|(number, (object, version, trouble))| {
                let slot = (first + number) % HANDLERS;
                let later = if number > 0 { this.later } else { Duration::ZERO };
                scope.spawn(move || {
                    thread::sleep(later);
                    this.invoke(slot, *object, *version, *trouble)
                })
            });
            let all: Vec<_> = all.collect();
            all.into_iter()
                .map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        self.place.s3().clear_faults();
        // A handler that was killed may have left a body half-sent, with an overwriting still to come.
        assert!(wait_until(BODY_TIMEOUT, || self.place.s3().open_bodies() == 0), "a body is left");
        self.adopt(deliveries);
        self.counts.deliveries += delivered.len() as u64;
        self.counts.at_once += u64::from(delivered.len() > 1);
        let is_quiet = deliveries.len() == 1 && deliveries[0].2.is_none();
        let mut answers = Vec::new();
        for (number, one) in delivered.iter().enumerate() {
            self.fates[one.object][one.version].is_touched |= !is_quiet;
            let together = if number > 0 { "  at once with " } else { "" };
            answers.push(self.note(one, deliveries[number].2, together));
        }
        if delivered.iter().any(|one| !matches!(one.outcome, Outcome::Ok(_))) {
            self.place.minute();
        }
        answers
    }

    /// S3 is told what will go wrong.
    fn prepare(&mut self, object: usize, trouble: Option<&Trouble>) {
        let on = On::get(&self.bucket, &self.objects[object].key);
        if let Some(Pace { chunk_bytes, pause, .. }) = self.pace {
            self.place.s3().fail_always(on.clone(), Fault::SlowChunks { chunk_bytes, pause });
        }
        let faults = match trouble {
            Some(Trouble::BodyCut { bytes }) => vec![Fault::CutBody { after_bytes: *bytes }],
            Some(Trouble::BodyStall { bytes, duration }) => {
                vec![Fault::StallBody { after_bytes: *bytes, duration: *duration }]
            }
            Some(Trouble::SlowDown) => vec![Fault::slow_down()],
            Some(Trouble::NoAnswer) => vec![Fault::Close],
            Some(Trouble::Overwrite { bytes, is_cut }) => {
                let next = self.objects[object].versions.get(self.put_count(object));
                let Some(next) = next.filter(|next| !next.is_removal()) else { return };
                let overwrite = Fault::OverwriteAt { after_bytes: *bytes, bytes: next.text().into() };
                let cut = Fault::CutBody { after_bytes: *bytes };
                if *is_cut { vec![overwrite, cut] } else { vec![overwrite] }
            }
            _ => return,
        };
        self.counts.body_faults += 1;
        self.place.s3().fail(on, faults);
    }

    /// A version that came while another one was read.
    fn adopt(&mut self, deliveries: &[(usize, usize, Option<&Trouble>)]) {
        for (object, ..) in deliveries {
            let Some(now) = self.place.s3().current(&self.bucket, &self.objects[*object].key) else {
                continue;
            };
            let next = self.put_count(*object);
            let is_known =
                self.stored[*object].iter().flatten().any(|stored| stored.sequencer == now.sequencer);
            if !is_known && next < self.objects[*object].versions.len() {
                self.note_put(*object, next, now, "overwritten meanwhile by");
                self.counts.overwrites += 1;
            }
        }
    }

    fn invoke(&self, slot: usize, object: usize, version: usize, trouble: Option<&Trouble>) -> Delivered {
        let handler = &self.place.handlers[slot];
        let stored = self.stored[object][version].as_ref().expect("it was put");
        // Now and then what was put into the queue at first comes again, where a load was handed on.
        let handed_on = self.pace.filter(|_| slot != 0).and_then(|_| self.place.handed_on(stored));
        let payload = handed_on.unwrap_or_else(|| stored.event());
        let payload = serde_json::to_vec(&payload).expect("JSON");
        let deadline_ms = self.pace.map_or(INVOCATION_MS, |pace| pace.deadline_ms);
        let started = Instant::now();
        handler.proxy.reset();
        let pid = handler.api.pid();
        let (outcome, was_cut) = run(handler, &payload, deadline_ms, trouble);
        handler.proxy.reset();
        // Killed, perhaps in the moment after its answer.
        if !handler.api.is_running() || matches!(outcome, Outcome::InitError { .. }) {
            handler.api.restart();
        }
        if !matches!(outcome, Outcome::Ok(_)) {
            self.place.outlive(slot, pid, &stored.key);
        }
        Delivered { object, version, slot, outcome, was_cut, elapsed: started.elapsed() }
    }

    /// What an answer means for what is still owed.
    fn note(&mut self, one: &Delivered, trouble: Option<&Trouble>, together: &str) -> String {
        let Delivered { object, version, .. } = *one;
        self.counts.cuts += u64::from(one.was_cut);
        let said = match &one.outcome {
            Outcome::Ok(_) => {
                let status = status(&one.outcome);
                if status == "continued" {
                    self.fates[object][version].is_touched = true;
                } else {
                    self.fates[object][version].answers.push(status.clone());
                }
                status
            }
            Outcome::Err { error_type, .. } => error_type.clone(),
            Outcome::InitError { error_type, .. } => format!("no start: {error_type}"),
            Outcome::Exited { .. } => {
                self.counts.kills += 1;
                "killed".to_owned()
            }
            Outcome::TimedOut => "out of time".to_owned(),
        };
        match said.as_str() {
            "loaded" => self.counts.loaded += 1,
            "skipped" => self.counts.skipped += 1,
            "superseded" => self.counts.superseded += 1,
            "continued" => self.counts.continued += 1,
            "deleted" => self.counts.deleted += 1,
            _ => self.counts.failed += 1,
        }
        let is_done = matches!(one.outcome, Outcome::Ok(_)) && said != "continued"
            || said == "Input" && self.objects[object].versions[version].is_bad();
        if !is_done {
            self.owed.push((object, version));
        }
        let trouble = trouble.map(|trouble| format!(" with {trouble:?}")).unwrap_or_default();
        let cut = if one.was_cut { ", was cut" } else { "" };
        let mut line = format!(
            "{together}deliver {object}.{version} to handler {}{trouble}: {said}{cut} ({} ms)",
            one.slot,
            one.elapsed.as_millis()
        );
        if let Outcome::Err { error_message, .. } = &one.outcome {
            let message: String = error_message.chars().take(160).collect();
            write!(line, ": {message}").expect("text");
        }
        self.journal.push(line);
        said
    }

    /// One of the deliveries that were not answered as done comes again, to the next handler.
    fn redeliver(&mut self) {
        let Some((object, version)) = self.owed.pop() else { return };
        self.counts.redeliveries += 1;
        self.deliver(&[(object, version, None)]);
    }

    /// Deliveries stop: every event that was not answered as done comes again until it is.
    pub(crate) fn settle(&mut self, random: &mut Random) -> Vec<String> {
        self.pace = None;
        let mut found = Vec::new();
        let mut open = std::mem::take(&mut self.owed);
        for (object, fates) in self.fates.iter().enumerate() {
            for (version, fate) in fates.iter().enumerate() {
                let is_bad = self.objects[object].versions[version].is_bad();
                if !fate.sequencer.is_empty() && (fate.answers.is_empty() && !is_bad || random.chance(15)) {
                    open.push((object, version));
                }
                // A verdict about content is no answer of success: it is asked for once more.
                if !fate.sequencer.is_empty() && is_bad {
                    open.push((object, version));
                }
            }
        }
        open.sort_unstable();
        open.dedup();
        random.shuffle(&mut open);
        for (object, version) in open {
            for redelivery in 0.. {
                self.counts.redeliveries += 1;
                self.deliver(&[(object, version, None)]);
                let Some(_) = self.owed.pop() else { break };
                if redelivery == REDELIVERIES_MAX {
                    found.push(format!("(1) {object}.{version} is not done after {redelivery} redeliveries"));
                    break;
                }
            }
        }
        found
    }

    /// What is not as promised.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        if !self.place.is_at_rest() {
            found.push("a session is left at work or in a transaction".to_owned());
        }
        let prefix = self.objects[0].key.rsplit_once('/').map_or("", |(folder, _)| folder);
        let (lines, rows) = (self.place.lines(prefix), self.place.rows(self.mode));
        let facts = Facts {
            dialect: self.place.dialect,
            mode: self.mode,
            objects: &self.objects,
            fates: &self.fates,
            lines: &lines,
            rows: &rows,
        };
        found.extend(violations(&facts));
        found
    }

    /// Everything that happened, for people.
    pub(crate) fn told(&self) -> String {
        let buckets = if self.is_versioned { "with versions" } else { "without versions" };
        let head = format!("{:?}, mode {:?}, bucket {buckets}", self.place.dialect, self.mode);
        let keys =
            self.objects.iter().enumerate().map(|(number, object)| format!("{number}: {}", object.key));
        let keys: Vec<String> = keys.collect();
        format!("{head}; objects {}\n  {}", keys.join(", "), self.journal.join("\n  "))
    }

    /// Settles, and fails the test if anything is not as promised.
    #[track_caller]
    pub(crate) fn assert_right(&mut self, random: &mut Random, what: &str) {
        let mut found = self.settle(random);
        found.extend(self.violations());
        assert!(found.is_empty(), "{what}: {}\n{}", found.join("\n"), self.told());
    }
}

/// Invokes the handler while something goes wrong with it; answers whether its connection was cut.
fn run(handler: &Handler, payload: &[u8], deadline_ms: u64, trouble: Option<&Trouble>) -> (Outcome, bool) {
    let (deadline_ms, cut) = match trouble {
        Some(Trouble::Cut { direction, bytes }) => (deadline_ms, Some((*direction, *bytes))),
        Some(Trouble::CutForGood { direction, bytes }) => (SHORT_MS, Some((*direction, *bytes))),
        _ => (deadline_ms, None),
    };
    if let Some((direction, bytes)) = cut {
        handler.proxy.cut(direction, bytes);
    }
    if let Some(Trouble::SlowLink(delay)) = trouble {
        handler.proxy.delay(*delay);
    }
    let is_for_good = matches!(trouble, Some(Trouble::CutForGood { .. }));
    let started = Instant::now();
    let must_die = || match trouble {
        Some(Trouble::KillAfter(after)) => started.elapsed() >= *after,
        Some(Trouble::KillAt { bytes }) => handler.proxy.counts().to_server >= *bytes,
        _ => false,
    };
    let outcome = thread::scope(|scope| {
        let invoking = scope.spawn(|| handler.api.invoke(payload, deadline_ms));
        let mut was_killed = false;
        while !invoking.is_finished() {
            if !was_killed && must_die() {
                handler.api.kill();
                was_killed = true;
            }
            if is_for_good && handler.proxy.was_cut() {
                handler.proxy.refuse(true);
            }
            thread::sleep(Duration::from_micros(200));
        }
        invoking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    (outcome, handler.proxy.was_cut())
}

/// Plays a whole history; what was counted, or what is not as promised and how it came to that.
pub(crate) fn play(place: &Place, history: &History) -> Result<Counts, String> {
    let mut random = Random::new(!history.seed);
    let mut play = Play::new(place, history.mode, history.is_versioned, history.objects.clone());
    let started = Instant::now();
    for step in &history.steps {
        match step {
            Step::Put(object) => play.put(*object),
            Step::Delete(object) => play.delete(*object),
            Step::Deliver(deliveries, later) => {
                let chosen: Vec<_> = deliveries.iter().filter_map(|one| choose(&play, one)).collect();
                play.later = *later;
                play.deliver(&chosen);
                play.later = Duration::ZERO;
                if history.temper == Temper::Kills {
                    play.redeliver();
                }
            }
        }
    }
    let mut found = play.settle(&mut random);
    found.extend(play.violations());
    let Counts { versions, deliveries, kills, cuts, body_faults, .. } = play.counts;
    println!(
        "seed {}: {:?} {:?}, {} objects, {versions} versions, {deliveries} deliveries, {kills} kills, {cuts} cuts, \
         {body_faults} S3 faults, {} ms",
        history.seed,
        place.dialect,
        history.mode,
        history.objects.len(),
        started.elapsed().as_millis()
    );
    if found.is_empty() {
        return Ok(play.counts);
    }
    Err(format!(
        "not as promised; replay with HOLOLOAD_TEST_SEED={}\n{}\n{}",
        history.seed,
        found.join("\n"),
        play.told()
    ))
}

/// Which version a delivery is of: the newest mostly, the one before it, now and then the oldest or any.
fn choose<'d>(play: &Play<'_>, delivery: &'d Delivery) -> Option<(usize, usize, Option<&'d Trouble>)> {
    let count = play.put_count(delivery.object);
    let any = usize::try_from(delivery.choice / 8).unwrap_or(0) % count.max(1);
    let version = match delivery.choice % 8 {
        Delivery::NEWEST..Delivery::BEFORE_NEWEST => count.checked_sub(1)?,
        Delivery::BEFORE_NEWEST..6 => count.saturating_sub(2),
        6 => 0,
        _ => any,
    };
    (count > 0).then_some((delivery.object, version, delivery.trouble.as_ref()))
}
