//! Every value of the sample is read by the type that was guessed for its column: a guess that does not load its own
//! sample is none.


use super::{ColumnGuess, Type};
use crate::decode::{Position, Record, Span};
use crate::row::{Encoder, Rules, Slot, TimeFormat};
use crate::table::Kind;

/// Reads single values as a load would.
pub(super) struct Reader {
    formats: Vec<TimeFormat>,
    encoder: Encoder,
    is_checked: bool,
}

impl Reader {
    /// `None` where a pattern is none.
    pub(super) fn new(column: &ColumnGuess) -> Option<Self> {
        let formats = column.formats.iter().map(|pattern| TimeFormat::new(pattern).ok());
        let formats: Vec<TimeFormat> = formats.collect::<Option<_>>()?;
        let kind = match column.kind {
            Type::Bool => Kind::Bool,
            Type::Int => Kind::Int4,
            Type::Bigint => Kind::Int8,
            Type::Numeric { limits } => Kind::Numeric {
                limits: limits
                    .map(|(precision, scale)| (precision, i16::try_from(scale).unwrap_or(i16::MAX))),
            },
            Type::Real => Kind::Float4,
            Type::Double => Kind::Float8,
            Type::Date => Kind::Date,
            Type::Time => Kind::Time { digits: 6 },
            Type::Timestamp => Kind::Timestamp { digits: 6 },
            Type::Timestamptz => Kind::Timestamptz { digits: 6 },
            Type::Uuid => Kind::Uuid,
            Type::Jsonb => Kind::Jsonb,
            Type::Bytea | Type::Text => Kind::Text,
        };
        let rules = Rules::default();
        let slot = Slot { kind, not_null: true, field: 0, is_key: false, conversion: None };
        // What these rules read is not text that the type reads by itself.
        let has_rule = column.epoch.is_some()
            || column.thousands.is_some()
            || column.decimal.is_some()
            || column.full_width;
        Some(Self { formats, encoder: Encoder::new(rules, vec![slot], 1), is_checked: !has_rule })
    }

    pub(super) fn reads(&self, text: &[u8]) -> bool {
        if !self.formats.is_empty() {
            return self.formats.iter().any(|format| format.parse(text).is_ok_and(|civil| !civil.is_finer));
        }
        if !self.is_checked {
            return true;
        }
        let Ok(end) = u32::try_from(text.len()) else { return false };
        let span = Span { start: 0, end, is_quoted: true };
        let record =
            Record { position: Position { line: 1, byte: 0 }, raw: text, data: text, spans: &[span] };
        self.encoder.types_cleanly(&record)
    }
}
