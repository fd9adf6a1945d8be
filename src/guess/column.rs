//! The type of one column from its counts, and what the type rests on.

use super::cell::TRUTHS;
use super::facts::{Facts, Numbers, Times};
use super::moments::{OPEN, Order};
use super::{ColumnGuess, Note, Type};
use crate::error::counted;

/// Precision of a guessed numeric whose values are shorter: later values may be longer.
const PRECISION: u16 = 18;
/// The largest precision of Hologres.
const PRECISION_MAX: u16 = 38;

/// Which comes first where a date is written in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DayOrder {
    MonthDay,
    DayMonth,
    YearMonth,
}

/// What is known beside the column's own values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Setting {
    /// The order that another column of the file tells.
    pub(super) order: Option<DayOrder>,
    pub(super) is_all_text: bool,
    /// Values have types of their own (JSON): texts are no numbers.
    pub(super) is_typed: bool,
}

/// A column's type on its way.
pub(super) struct Choice {
    pub(super) column: ColumnGuess,
    pub(super) notes: Vec<Note>,
    /// The order of day and month that its own values tell.
    pub(super) told: Option<DayOrder>,
}

impl Choice {
    fn new(name: &str, kind: Type, sure: f64) -> Self {
        let mut column = ColumnGuess::known(name, kind, false);
        column.sure = sure;
        Self { column, notes: Vec::new(), told: None }
    }

    fn note(mut self, text: impl Into<String>) -> Self {
        let name = self.column.name.clone();
        self.notes.push(Note::column(&name, text));
        self
    }

    fn says(mut self, text: impl Into<String>) -> Self {
        self.column.evidence.push(text.into());
        self
    }
}

/// What a name says about its column.
pub(super) fn has_word(name: &str, words: &[&str]) -> bool {
    let lower = name.to_lowercase();
    let mut parts: Vec<String> = Vec::new();
    let mut last_lower = false;
    for letter in name.chars() {
        let is_new = !letter.is_alphanumeric() || (letter.is_uppercase() && last_lower);
        last_lower = letter.is_lowercase();
        if is_new || parts.is_empty() {
            parts.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(part) = parts.last_mut()
        {
            part.extend(letter.to_lowercase());
        }
    }
    words.iter().any(|word| {
        if word.is_ascii() { parts.iter().any(|part| part == word) } else { lower.contains(word) }
    })
}

const ID_WORDS: [&str; 16] = [
    "id",
    "ids",
    "no",
    "num",
    "number",
    "code",
    "key",
    "sku",
    "serial",
    "zip",
    "番号",
    "コード",
    "編号",
    "号",
    "isbn",
    "ref",
];
const TIME_WORDS: [&str; 17] = [
    "at",
    "time",
    "ts",
    "timestamp",
    "epoch",
    "created",
    "updated",
    "modified",
    "datetime",
    "date",
    "when",
    "unix",
    "expires",
    "expiry",
    "日時",
    "時刻",
    "时间",
];
const DATE_WORDS: [&str; 15] = [
    "date",
    "day",
    "dt",
    "ymd",
    "on",
    "birthday",
    "birth",
    "dob",
    "from",
    "until",
    "年月日",
    "日付",
    "日期",
    "date8",
    "yyyymmdd",
];
const PHONE_WORDS: [&str; 8] = ["phone", "tel", "mobile", "fax", "msisdn", "電話", "电话", "携帯"];

pub(super) fn choose(name: &str, facts: &Facts, setting: Setting) -> Choice {
    let values = facts.values;
    let choice = if values == 0 {
        Choice::new(name, Type::Text, 0.2).says("no value in the sample")
    } else if setting.is_all_text {
        Choice::new(name, Type::Text, 1.0)
    } else {
        truth(name, facts)
            .or_else(|| if setting.is_typed { None } else { number(name, facts) })
            .or_else(|| moment(name, facts, setting))
            .or_else(|| {
                (facts.uuids == values).then(|| Choice::new(name, Type::Uuid, 0.95).says("all UUIDs"))
            })
            .or_else(|| {
                (facts.jsons == values).then(|| Choice::new(name, Type::Jsonb, 0.95).says("all JSON"))
            })
            .unwrap_or_else(|| text(name, facts))
    };
    finish(choice, facts)
}

/// Numbers of a column whose values say themselves that they are (JSON).
pub(super) fn choose_number(name: &str, facts: &Facts) -> Choice {
    let choice = number(name, facts).unwrap_or_else(|| text(name, facts));
    finish(choice, facts)
}

fn finish(mut choice: Choice, facts: &Facts) -> Choice {
    let column = &mut choice.column;
    let nulls: u64 = facts.nulls.values().chain(facts.nulls_quoted.values()).sum();
    let null_count = facts.empty + nulls;
    column.nullable = null_count > 0 || facts.values == 0;
    column.is_unique = facts.is_unique() && facts.rows == facts.values;
    let mut first = counted(facts.values, "value");
    if null_count > 0 {
        first.push_str(&format!(", {null_count} NULL"));
    }
    if facts.empty_quoted > 0 {
        first.push_str(&format!(", {} empty in quotes", facts.empty_quoted));
    }
    column.evidence.insert(0, first);
    if column.kind == Type::Text && facts.values > 0 {
        let min = facts.length_min.unwrap_or(0);
        let lengths =
            if min == facts.length_max { format!("{min}") } else { format!("{min} to {}", facts.length_max) };
        let unit = if facts.length_max == 1 { "character" } else { "characters" };
        column.evidence.push(format!("{lengths} {unit}"));
    }
    if facts.not_utf_8 > 0 {
        let name = column.name.clone();
        choice.notes.push(Note::column(&name, format!("{} not decoded", counted(facts.not_utf_8, "value"))));
    }
    choice
}

fn truth(name: &str, facts: &Facts) -> Option<Choice> {
    let (pair, (yes, no)) =
        facts.truths.iter().copied().enumerate().find(|(_, (yes, no))| yes + no == facts.values)?;
    let (yes_word, no_word) = TRUTHS.get(pair)?;
    if yes > 0 && no > 0 {
        let sure = if pair == 0 { 1.0 } else { 0.9 };
        return Some(Choice::new(name, Type::Bool, sure).says(format!("{yes_word} {yes}, {no_word} {no}")));
    }
    let word = if yes > 0 { yes_word } else { no_word };
    if pair == 0 {
        return Some(Choice::new(name, Type::Bool, 0.8).says(format!("only {word}")));
    }
    let text = Choice::new(name, Type::Text, 0.5).says(format!("one word of {yes_word}/{no_word} alone"));
    Some(text.note(format!(
        "every value is the same word of the pair {yes_word}/{no_word}; that may be a truth value or a code (NO is \
         Norway), so it stays text. For truth values write `type: boolean`"
    )))
}

fn numeric(whole: u16, scale: u16) -> Type {
    let digits = whole + scale;
    if digits > PRECISION_MAX {
        return Type::Numeric { limits: None };
    }
    let precision = if digits <= PRECISION && scale < PRECISION { PRECISION } else { PRECISION_MAX };
    Type::Numeric { limits: Some((precision, scale)) }
}

fn number(name: &str, facts: &Facts) -> Option<Choice> {
    let numbers = &facts.numbers;
    if numbers.units == facts.values {
        return Some(
            Choice::new(name, Type::Text, 0.6).note(
                "all values are amounts with a currency or a percent sign; no rule takes those off, so it stays text",
            ),
        );
    }
    if numbers.all() != facts.values {
        return None;
    }
    let wide = numbers.full_width;
    let choice = of_numbers(name, facts, numbers);
    Some(if wide == 0 {
        choice
    } else {
        let mut choice = choice.says(format!("{wide} in full-width digits"));
        choice.column.full_width = choice.column.kind != Type::Text;
        choice
    })
}

fn of_numbers(name: &str, facts: &Facts, numbers: &Numbers) -> Choice {
    if numbers.zero_led > 0 {
        let codes = format!("{} with leading zeros: codes", numbers.zero_led);
        return Choice::new(name, Type::Text, 0.9).says(codes);
    }
    if numbers.plus > 0 && (numbers.digits_max >= 8 || has_word(name, &PHONE_WORDS)) {
        return Choice::new(name, Type::Text, 0.8).says("digits behind a plus: telephone numbers");
    }
    if numbers.grouped > 0 || numbers.commas > 0 {
        return separated(name, numbers);
    }
    if numbers.exponents + numbers.specials > 0 {
        let (exponents, specials) = (numbers.exponents, numbers.specials);
        return Choice::new(name, Type::Double, 0.9)
            .says(format!("{exponents} with an exponent, {specials} infinite or NaN"));
    }
    let (whole, scale) = (numbers.whole_max, numbers.scale_max);
    if numbers.decimals > 0 {
        return Choice::new(name, numeric(whole, scale), 0.95).says(format!(
            "up to {} before the point and {scale} behind it, kept exactly",
            counted(whole, "digit")
        ));
    }
    if numbers.too_large > 0 {
        return Choice::new(name, numeric(numbers.digits_max, 0), 0.9)
            .says(format!("integers of up to {} digits", numbers.digits_max));
    }
    if let Some(choice) = compact(name, facts, numbers) {
        return choice;
    }
    epoch(name, facts, numbers).unwrap_or_else(|| integer(name, numbers))
}

fn integer(name: &str, numbers: &Numbers) -> Choice {
    let (min, max) = (numbers.digits_min.unwrap_or(0), numbers.digits_max);
    let digits = if min == max { format!("{max}") } else { format!("{min} to {max}") };
    let unit = if max == 1 { "digit" } else { "digits" };
    Choice::new(name, Type::Bigint, 0.98).says(format!("integers of {digits} {unit}"))
}

/// Eight or fourteen digits that are all days.
fn compact(name: &str, facts: &Facts, numbers: &Numbers) -> Option<Choice> {
    if numbers.compact_moments == facts.values {
        let mut choice =
            Choice::new(name, Type::Timestamp, 0.8).says("14 digits that all are a day and a time");
        choice.column.formats = vec!["%Y%m%d%H%M%S".to_owned()];
        return Some(choice);
    }
    if numbers.compact_days != facts.values {
        return None;
    }
    let is_date = has_word(name, &DATE_WORDS) || has_word(name, &["時", "日"]);
    if has_word(name, &ID_WORDS) && !is_date {
        return Some(integer(name, numbers).note(
            "8 digits that all are days (YYYYMMDD), under a name like that of a number; for dates write `type: date`",
        ));
    }
    let sure = if is_date { 0.95 } else { 0.6 };
    let choice = Choice::new(name, Type::Date, sure).says("8 digits that all are days (YYYYMMDD)");
    Some(if is_date {
        choice
    } else {
        choice.note(
            "8 digits that all are days (YYYYMMDD) may as well be numbers; for numbers write `type: bigint`",
        )
    })
}

fn epoch(name: &str, facts: &Facts, numbers: &Numbers) -> Option<Choice> {
    let unit = if numbers.epoch_seconds == facts.values {
        "s"
    } else if numbers.epoch_milliseconds == facts.values {
        "ms"
    } else {
        return None;
    };
    let long = if unit == "s" { "seconds" } else { "milliseconds" };
    if has_word(name, &TIME_WORDS) {
        let mut choice = Choice::new(name, Type::Timestamptz, 0.8)
            .says(format!("integers that are {long} from 1970 (2001 to 2099), under a name of a time"));
        choice.column.epoch = Some(unit);
        return Some(
            choice.note(format!("read as {long} from 1970; for plain numbers write `type: bigint`")),
        );
    }
    if facts.values < 3 {
        return None;
    }
    Some(integer(name, numbers).note(format!(
        "all values could be {long} from 1970; for times write `type: timestamptz, epoch: {unit}`"
    )))
}

/// Numbers with separators between groups of digits, or with a comma before the decimal places.
fn separated(name: &str, numbers: &Numbers) -> Choice {
    let by: Vec<char> = numbers.groupings.keys().map(|(by, _)| *by).collect();
    let is_same = by.iter().all(|mark| by.first() == Some(mark));
    let has_point =
        numbers.groupings.keys().any(|(_, decimal)| *decimal == Some('.')) || numbers.decimals > 0;
    let has_comma = numbers.groupings.keys().any(|(_, decimal)| *decimal == Some(',')) || numbers.commas > 0;
    let kind = numeric(numbers.whole_max, numbers.scale_max);
    let unclear = || {
        Choice::new(name, Type::Text, 0.4)
            .note("numbers with both points and commas whose meaning differs from row to row; it stays text")
    };
    if numbers.exponents + numbers.specials > 0 || !is_same {
        return unclear();
    }
    let thousands = by.first().copied();
    // A single comma before three digits, beside others before fewer: they all are decimal commas.
    if numbers.commas > 0 && thousands == Some(',') && numbers.decimals == 0 && !has_point {
        let mut choice = Choice::new(name, numeric(numbers.whole_max, numbers.scale_max.max(3)), 0.7);
        choice.column.decimal = Some(',');
        return choice.says("a comma before the decimal places");
    }
    if (has_point && has_comma) || (thousands == Some('.') && numbers.decimals > 0) {
        return unclear();
    }
    if thousands == Some(',') && has_comma {
        return unclear();
    }
    let is_whole = numbers.scale_max == 0;
    let kind = if is_whole && numbers.whole_max <= PRECISION { Type::Bigint } else { kind };
    let mut choice = Choice::new(name, kind, 0.85);
    choice.column.thousands = thousands;
    choice.column.decimal = has_comma.then_some(',');
    if let Some(mark) = thousands {
        choice = choice.says(format!("{} with `{mark}` between groups of three digits", numbers.grouped));
    }
    if has_comma {
        choice = choice.says("a comma before the decimal places");
    }
    if is_whole && matches!(thousands, Some('.' | ',')) && numbers.whole_max <= 6 && numbers.integers == 0 {
        choice.column.sure = 0.5;
        choice = choice
            .note("one mark before three digits: read as thousands, but it may stand before decimal places");
    }
    choice
}

fn moment(name: &str, facts: &Facts, setting: Setting) -> Option<Choice> {
    let count: u64 = facts.times.values().map(|times| times.count).sum();
    if count != facts.values || facts.has_more_times {
        return None;
    }
    let any = |test: fn(&Times) -> bool| facts.times.values().any(test);
    let all = |test: fn(&Times) -> bool| facts.times.values().all(test);
    let has_date = any(|times| times.has_date);
    if has_date != all(|times| times.has_date) || any(|times| times.has_time) != all(|times| times.has_time) {
        let choice = Choice::new(name, Type::Text, 0.4);
        return Some(choice.note(
            "dates and times of different kinds stand in one column; it stays text. `timestamp` takes plain dates as \
             their midnight",
        ));
    }
    let kind = match (has_date, any(|times| times.has_time), any(|times| times.has_zone)) {
        (true, false, _) => Type::Date,
        (true, true, false) => Type::Timestamp,
        (true, true, true) => Type::Timestamptz,
        (false, ..) => Type::Time,
    };
    let mut choice = Choice::new(name, kind, 0.97);
    if kind == Type::Timestamptz && !all(|times| times.has_zone) {
        choice = choice.note("some times have a zone and some have none; those are read in `timezone`");
    }
    if all(|times| times.is_native) {
        let patterns: Vec<String> = facts.times.keys().map(|pattern| format!("`{pattern}`")).collect();
        return Some(choice.says(patterns.join(", ")));
    }
    let (order, told) = order(facts)?;
    choice.told = told;
    let chosen = order.or(setting.order).or_else(|| undecided(facts));
    let patterns = facts.times.iter().map(|(pattern, times)| ordered(pattern, times.order, chosen));
    choice.column.formats = patterns.collect();
    choice.column.formats.dedup();
    if order.is_none() && facts.times.values().any(|times| times.order != Order::Told) {
        choice = unsure_order(choice, setting);
    }
    Some(choice)
}

fn unsure_order(mut choice: Choice, setting: Setting) -> Choice {
    if setting.order.is_some() {
        choice.column.sure = 0.8;
        return choice.says("the order of day and month is that of another column");
    }
    choice.column.sure = 0.3;
    let format = choice.column.formats.join(", ");
    let other = format.replace("%m", "\u{1}").replace("%d", "%m").replace('\u{1}', "%d");
    choice.note(format!(
        "no value tells day from month: `{format}` was taken, `{other}` fits every value as well. Check it before loading"
    ))
}

/// The order that the values allow: `None` where they contradict each other; within it what they tell.
fn order(facts: &Facts) -> Option<(Option<DayOrder>, Option<DayOrder>)> {
    let open: Vec<&Times> = facts.times.values().filter(|times| times.order != Order::Told).collect();
    if open.is_empty() {
        return Some((None, None));
    }
    let mut max = [0_u16; 3];
    for times in &open {
        for (max, number) in max.iter_mut().zip(times.max) {
            *max = (*max).max(number);
        }
    }
    let [one, two, three] = max;
    let is_short = open.iter().any(|times| times.order == Order::Short);
    let mut fitting = Vec::new();
    if one <= 12 && two <= 31 {
        fitting.push(DayOrder::MonthDay);
    }
    if two <= 12 && one <= 31 {
        fitting.push(DayOrder::DayMonth);
    }
    if is_short && open.iter().all(|times| times.order == Order::Short) && two <= 12 && three <= 31 {
        fitting.push(DayOrder::YearMonth);
    }
    match fitting.as_slice() {
        [] => None,
        [only] => Some((Some(*only), Some(*only))),
        _ => Some((None, None)),
    }
}

/// What is taken where the values do not tell: with points the day stands first, as everywhere where points are
/// used; otherwise the month, as in Embulk.
fn undecided(facts: &Facts) -> Option<DayOrder> {
    let open = facts.times.iter().find(|(_, times)| times.order != Order::Told)?;
    let [one, two, _] = open.1.max;
    if one > 12 && two > 12 {
        return Some(DayOrder::YearMonth);
    }
    let is_point = open.0.contains("\u{1}.");
    if is_point && one <= 31 && two <= 12 {
        return Some(DayOrder::DayMonth);
    }
    Some(if one <= 12 { DayOrder::MonthDay } else { DayOrder::DayMonth })
}

fn ordered(pattern: &str, order: Order, chosen: Option<DayOrder>) -> String {
    let parts = match (order, chosen) {
        (Order::Told, _) => return pattern.to_owned(),
        (Order::Short, Some(DayOrder::YearMonth)) => ["%y", "%m", "%d"],
        (_, Some(DayOrder::DayMonth)) => ["%d", "%m", "%y"],
        _ => ["%m", "%d", "%y"],
    };
    OPEN.iter().zip(parts).fold(pattern.to_owned(), |text, (open, part)| text.replace(*open, part))
}

fn text(name: &str, facts: &Facts) -> Choice {
    let choice = Choice::new(name, Type::Text, 0.9);
    let times: u64 = facts.times.values().map(|times| times.count).sum();
    let near =
        [("numbers", facts.numbers.all()), ("times", times), ("UUIDs", facts.uuids), ("JSON", facts.jsons)];
    let near = near.into_iter().find(|(_, count)| facts.values >= 10 && *count * 10 >= facts.values * 9);
    match near {
        Some((what, count)) => {
            let others = facts.values - count;
            let mut choice = choice.says(format!("{count} of {} are {what}", facts.values));
            choice.column.sure = 0.5;
            choice.note(format!(
                "{count} of {} values are {what}, {others} are not; it stays text",
                facts.values
            ))
        }
        None => choice,
    }
}
