//! Every value of the sample is read by the type that was guessed for its column: a guess that does not load its own
//! sample is none.

use super::{ColumnGuess, Type};
use crate::decode::{Position, Record, Span};
use crate::row::{Conversion, Encoder, Epoch, Rules, Slot, TimeFormat};
use crate::table::Kind;

/// Reads single values as a load would, by the rules that the YAML of the guess says.
pub(super) struct Reader {
    encoder: Encoder,
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
        let conversion = Conversion {
            formats,
            full_width: column.full_width,
            thousands: column.thousands.map(|mark| mark.to_string().into_bytes()),
            decimal_comma: column.decimal == Some(','),
            epoch: column.epoch.and_then(|unit| Epoch::ALL.into_iter().find(|epoch| epoch.name() == unit)),
            ..Conversion::default()
        };
        let slot = Slot { kind, not_null: true, field: 0, is_key: false, conversion: Some(0) };
        let encoder = Encoder::new(Rules::default(), vec![slot], 1).with_conversions(vec![conversion]);
        Some(Self { encoder })
    }

    pub(super) fn reads(&self, text: &[u8]) -> bool {
        let Ok(end) = u32::try_from(text.len()) else { return false };
        let span = Span { start: 0, end, is_quoted: true };
        let record =
            Record { position: Position { line: 1, byte: 0 }, raw: text, data: text, spans: &[span] };
        self.encoder.types_cleanly(&record)
    }
}
