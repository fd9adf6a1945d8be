//! What the values of one column are, counted.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::hash::{Hash as _, Hasher as _};

use super::cell::{TRUTHS, is_json, is_null_text, is_uuid, truth_pair};
use super::moments::{self, Order};
use super::number::{Number, from_full_width, has_unit, number};

/// Ways to write a time that are kept apart; a column with more has none.
const SHAPES_MAX: usize = 12;

/// Values written by one time pattern.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is said by itself")]
pub(super) struct Times {
    pub(super) count: u64,
    pub(super) order: Order,
    /// The greatest of each number whose order is open.
    pub(super) max: [u16; 3],
    pub(super) is_native: bool,
    pub(super) has_date: bool,
    pub(super) has_time: bool,
    pub(super) has_zone: bool,
}

/// Kinds of numbers, counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    pub(super) integers: u64,
    pub(super) plus: u64,
    pub(super) zero_led: u64,
    pub(super) too_large: u64,
    pub(super) decimals: u64,
    pub(super) exponents: u64,
    pub(super) specials: u64,
    pub(super) commas: u64,
    pub(super) grouped: u64,
    /// Separator and decimal sign of grouped numbers.
    pub(super) groupings: BTreeMap<(char, Option<char>), u64>,
    pub(super) full_width: u64,
    pub(super) digits_max: u16,
    pub(super) digits_min: Option<u16>,
    pub(super) whole_max: u16,
    pub(super) scale_max: u16,
    pub(super) compact_days: u64,
    pub(super) compact_moments: u64,
    /// Integers that are moments of 2001 to 2099 as seconds and as milliseconds from 1970.
    pub(super) epoch_seconds: u64,
    pub(super) epoch_milliseconds: u64,
    /// Values with a currency's sign or in percent.
    pub(super) units: u64,
}

/// One column, counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) rows: u64,
    /// Values that are not NULL.
    pub(super) values: u64,
    pub(super) empty: u64,
    pub(super) empty_quoted: u64,
    /// Unquoted and quoted texts that often are NULL.
    pub(super) nulls: BTreeMap<String, u64>,
    pub(super) nulls_quoted: BTreeMap<String, u64>,
    pub(super) padded: u64,
    pub(super) padded_quoted: u64,
    pub(super) length_min: Option<usize>,
    pub(super) length_max: usize,
    pub(super) truths: [(u64, u64); TRUTHS.len()],
    pub(super) numbers: Numbers,
    pub(super) uuids: u64,
    pub(super) jsons: u64,
    pub(super) times: BTreeMap<String, Times>,
    pub(super) has_more_times: bool,
    pub(super) not_utf_8: u64,
    seen: HashSet<u64>,
    repeats: u64,
}

impl Facts {
    pub(super) fn feed(&mut self, bytes: &[u8], is_quoted: bool) {
        self.rows += 1;
        let Ok(raw) = std::str::from_utf8(bytes) else {
            self.not_utf_8 += 1;
            self.values += 1;
            return;
        };
        let text = raw.trim_matches([' ', '\t', '\u{3000}', '\u{a0}']);
        if text.is_empty() {
            *(if is_quoted { &mut self.empty_quoted } else { &mut self.empty }) += 1;
            return;
        }
        if is_null_text(text) {
            let kept = if is_quoted { &mut self.nulls_quoted } else { &mut self.nulls };
            *kept.entry(text.to_owned()).or_default() += 1;
            return;
        }
        if text.len() < raw.len() {
            *(if is_quoted { &mut self.padded_quoted } else { &mut self.padded }) += 1;
        }
        self.value(text);
    }

    /// Counts a text that was taken for NULL as what it is.
    pub(super) fn take_back(&mut self, text: &str, is_quoted: bool) {
        let kept = if is_quoted { &mut self.nulls_quoted } else { &mut self.nulls };
        for _ in 0..kept.remove(text).unwrap_or(0) {
            self.value(text);
        }
    }

    fn value(&mut self, text: &str) {
        self.values += 1;
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        self.repeats += u64::from(!self.seen.insert(hasher.finish()));
        let length = text.chars().count();
        self.length_max = self.length_max.max(length);
        self.length_min = Some(self.length_min.map_or(length, |min| min.min(length)));
        if let Some((pair, is_true)) = truth_pair(text)
            && let Some((yes, no)) = self.truths.get_mut(pair)
        {
            *(if is_true { yes } else { no }) += 1;
        }
        if let Some(number) = number(text) {
            self.numbers.add(text, number);
        } else if let Some(narrow) = from_full_width(text) {
            self.numbers.full_width += 1;
            if let Some(number) = number(&narrow) {
                self.numbers.add(&narrow, number);
            }
        } else if has_unit(text) {
            self.numbers.units += 1;
        }
        self.uuids += u64::from(is_uuid(text));
        self.jsons += u64::from(is_json(text));
        self.time(text);
    }

    fn time(&mut self, text: &str) {
        let Some(shape) = moments::shape(text) else { return };
        if !self.times.contains_key(&shape.pattern) && self.times.len() >= SHAPES_MAX {
            self.has_more_times = true;
            return;
        }
        let times = self.times.entry(shape.pattern).or_insert(Times {
            count: 0,
            order: shape.order,
            max: [0; 3],
            is_native: shape.is_native,
            has_date: shape.has_date,
            has_time: shape.has_time,
            has_zone: shape.has_zone,
        });
        times.count += 1;
        times.is_native &= shape.is_native;
        for (max, number) in times.max.iter_mut().zip(shape.numbers) {
            *max = (*max).max(number);
        }
    }

    pub(super) fn is_unique(&self) -> bool {
        self.repeats == 0 && self.values > 0
    }

    /// No value, no text in quotes, no text that stands for NULL: a field that is there for its delimiter alone.
    pub(super) fn is_hollow(&self) -> bool {
        self.values == 0 && self.empty_quoted == 0 && self.nulls.is_empty() && self.nulls_quoted.is_empty()
    }

    pub(super) fn distinct(&self) -> u64 {
        self.values - self.repeats.min(self.values)
    }

    pub(super) fn has(&self, text: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        self.seen.contains(&hasher.finish())
    }
}

impl Numbers {
    fn add(&mut self, text: &str, number: Number) {
        match number {
            Number::Integer { digits, has_plus, has_zero } => {
                self.integers += 1;
                self.plus += u64::from(has_plus);
                self.zero_led += u64::from(has_zero);
                self.digits_max = self.digits_max.max(digits);
                self.digits_min = Some(self.digits_min.map_or(digits, |min| min.min(digits)));
                self.whole_max = self.whole_max.max(digits);
                self.compact_days += u64::from(moments::is_compact_day(text));
                self.compact_moments += u64::from(moments::is_compact_moment(text));
                match text.parse::<i64>() {
                    Ok(value) => {
                        self.epoch_seconds += u64::from((1_000_000_000..4_102_444_800).contains(&value));
                        self.epoch_milliseconds +=
                            u64::from((1_000_000_000_000..4_102_444_800_000).contains(&value));
                    }
                    Err(_) => self.too_large += 1,
                }
            }
            Number::Decimal { whole, scale, has_zero } => {
                self.decimals += 1;
                self.zero_led += u64::from(has_zero);
                self.sizes(whole, scale);
            }
            Number::Exponent => self.exponents += 1,
            Number::Special => self.specials += 1,
            Number::Grouped { by, decimal, whole, scale } => {
                self.grouped += 1;
                if self.groupings.len() < SHAPES_MAX {
                    *self.groupings.entry((by, decimal)).or_default() += 1;
                }
                self.sizes(whole, scale);
            }
            Number::Comma { whole, scale } => {
                self.commas += 1;
                self.sizes(whole, scale);
            }
        }
    }

    fn sizes(&mut self, whole: u16, scale: u16) {
        self.whole_max = self.whole_max.max(whole);
        self.scale_max = self.scale_max.max(scale);
    }

    /// All values that are numbers in some way.
    pub(super) fn all(&self) -> u64 {
        self.integers + self.decimals + self.exponents + self.specials + self.grouped + self.commas
    }
}
