//! The columns of a file as a tree, and what each leaf's values are.

use std::ops::Range;

use ::parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::schema::types::Type;

use super::footer::{SchemaColumn, damaged};
use crate::error::Result;

/// All columns of a file.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) columns: Vec<Node>,
    pub(super) leaf_count: usize,
}

/// A column, or a part of one.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) name: String,
    /// The definition level from which on it is not NULL.
    pub(super) level: i16,
    pub(super) is_optional: bool,
    pub(super) shape: Shape,
    /// The leaves below it.
    pub(super) leaves: Range<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Leaf(Kind),
    Struct(Vec<Node>),
    List { element: Box<Node>, repeated: Repeated },
    Map { key: Box<Node>, value: Option<Box<Node>>, repeated: Repeated },
}

/// What tells one element from the next, and an empty list from one with elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repeated {
    pub(super) level: i16,
    pub(super) repetition: i16,
}

/// What a leaf's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Signed {
        bits: u8,
    },
    Unsigned {
        bits: u8,
    },
    Float,
    Double,
    Half,
    Decimal {
        precision: u16,
        scale: u16,
    },
    Date,
    Time(Unit),
    Timestamp {
        unit: Unit,
        is_utc: bool,
    },
    /// The old form of timestamps, in nanoseconds.
    Int96,
    Text,
    Json,
    Uuid,
    Bytes,
    Interval,
    /// Nothing but NULLs.
    Nothing,
}

/// What a count of time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    /// How many there are in a second, and with how many digits that is written.
    pub(super) fn per_second(self) -> (i64, usize) {
        match self {
            Self::Millis => (1_000, 3),
            Self::Micros => (1_000_000, 6),
            Self::Nanos => (1_000_000_000, 9),
        }
    }

    fn of(unit: TimeUnit) -> Self {
        match unit {
            TimeUnit::MILLIS => Self::Millis,
            TimeUnit::MICROS => Self::Micros,
            TimeUnit::NANOS => Self::Nanos,
        }
    }
}

impl Schema {
    pub(super) fn of(root: &Type) -> Result<Self> {
        let mut builder = Builder::default();
        let members = root.get_fields().iter();
        let columns = members.map(|field| builder.node(field, 0, 0)).collect::<Result<_>>()?;
        Ok(Self { columns, leaf_count: builder.leaf_count })
    }

    /// A column by its name, which may hold dots, or a member of a struct by `name.member`.
    pub(super) fn find(&self, path: &str) -> Option<&Node> {
        find(&self.columns, path)
    }
}

fn find<'a>(nodes: &'a [Node], path: &str) -> Option<&'a Node> {
    if let Some(node) = nodes.iter().find(|node| node.name == path) {
        return Some(node);
    }
    nodes.iter().find_map(|node| {
        let rest = path.strip_prefix(node.name.as_str())?.strip_prefix('.')?;
        match &node.shape {
            Shape::Struct(members) => find(members, rest),
            _ => None,
        }
    })
}

#[derive(Default)]
struct Builder {
    leaf_count: usize,
}

impl Builder {
    /// The node of a field below levels of definition and repetition.
    fn node(&mut self, field: &Type, level: i16, repetition: i16) -> Result<Node> {
        match repetition_of(field) {
            Repetition::REPEATED => {
                // Without a list around it: never NULL, and empty where there is none.
                let first = self.leaf_count;
                let repeated = Repeated { level: level + 1, repetition: repetition + 1 };
                let element = self.shaped(field, repeated.level, repeated.repetition, false)?;
                Ok(Node {
                    name: field.name().to_owned(),
                    level,
                    is_optional: false,
                    shape: Shape::List { element: Box::new(element), repeated },
                    leaves: first..self.leaf_count,
                })
            }
            Repetition::OPTIONAL => self.shaped(field, level + 1, repetition, true),
            Repetition::REQUIRED => self.shaped(field, level, repetition, false),
        }
    }

    /// The same once the field's own repetition is counted.
    fn shaped(&mut self, field: &Type, level: i16, repetition: i16, is_optional: bool) -> Result<Node> {
        let first = self.leaf_count;
        let shape = if field.is_primitive() {
            self.leaf_count += 1;
            Shape::Leaf(kind_of(field))
        } else {
            self.group(field, level, repetition)?
        };
        let leaves = first..self.leaf_count;
        if leaves.is_empty() {
            return Err(damaged("a group has no columns"));
        }
        Ok(Node { name: field.name().to_owned(), level, is_optional, shape, leaves })
    }

    fn group(&mut self, field: &Type, level: i16, repetition: i16) -> Result<Shape> {
        let info = field.get_basic_info();
        let members = field.get_fields();
        let repeated = Repeated { level: level + 1, repetition: repetition + 1 };
        if let [inner] = members
            && repetition_of(inner) == Repetition::REPEATED
        {
            let is = |logical: &LogicalType, old: &[ConvertedType]| {
                info.logical_type_ref() == Some(logical) || old.contains(&info.converted_type())
            };
            if is(&LogicalType::List, &[ConvertedType::LIST]) {
                let element = self.element(field.name(), inner, repeated)?;
                return Ok(Shape::List { element: Box::new(element), repeated });
            }
            if is(&LogicalType::Map, &[ConvertedType::MAP, ConvertedType::MAP_KEY_VALUE])
                && inner.is_group()
                && let [key, rest @ ..] = inner.get_fields()
                && rest.len() <= 1
            {
                let key = self.node(key, repeated.level, repeated.repetition)?;
                let value = rest.first().map(|value| self.node(value, repeated.level, repeated.repetition));
                return Ok(Shape::Map {
                    key: Box::new(key),
                    value: value.transpose()?.map(Box::new),
                    repeated,
                });
            }
        }
        let members = members.iter().map(|member| self.node(member, level, repetition));
        Ok(Shape::Struct(members.collect::<Result<_>>()?))
    }

    /// What a list holds. Old writers left out the group around an element (LogicalTypes.md, "Backward-compatibility rules").
    fn element(&mut self, list: &str, inner: &Type, repeated: Repeated) -> Result<Node> {
        let is_wrapped = inner.is_group()
            && inner.get_fields().len() == 1
            && inner.name() != "array"
            && inner.name().strip_suffix("_tuple") != Some(list);
        match inner.get_fields_if_group().first().filter(|_| is_wrapped) {
            Some(element) => self.node(element, repeated.level, repeated.repetition),
            None => self.shaped(inner, repeated.level, repeated.repetition, false),
        }
    }
}

/// A primitive type's members: it has none, and the crate panics when asked.
trait Members {
    fn get_fields_if_group(&self) -> &[std::sync::Arc<Type>];
}

impl Members for Type {
    fn get_fields_if_group(&self) -> &[std::sync::Arc<Type>] {
        if self.is_group() { self.get_fields() } else { &[] }
    }
}

/// The root has none, and the crate panics when asked.
fn repetition_of(field: &Type) -> Repetition {
    let info = field.get_basic_info();
    if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED }
}

fn kind_of(field: &Type) -> Kind {
    let info = field.get_basic_info();
    let physical = field.get_physical_type();
    let said = info.logical_type_ref().map_or_else(|| by_converted(field, info.converted_type()), by_logical);
    match said.filter(|kind| kind.fits(field, physical)) {
        Some(kind) => kind,
        None => match physical {
            Physical::BOOLEAN => Kind::Bool,
            Physical::INT32 => Kind::Signed { bits: 32 },
            Physical::INT64 => Kind::Signed { bits: 64 },
            Physical::INT96 => Kind::Int96,
            Physical::FLOAT => Kind::Float,
            Physical::DOUBLE => Kind::Double,
            Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => Kind::Bytes,
        },
    }
}

fn by_logical(logical: &LogicalType) -> Option<Kind> {
    Some(match logical {
        LogicalType::String | LogicalType::Enum => Kind::Text,
        LogicalType::Json => Kind::Json,
        LogicalType::Uuid => Kind::Uuid,
        LogicalType::Date => Kind::Date,
        LogicalType::Time(time) => Kind::Time(Unit::of(time.unit)),
        LogicalType::Timestamp(said) => {
            Kind::Timestamp { unit: Unit::of(said.unit), is_utc: said.is_adjusted_to_u_t_c }
        }
        LogicalType::Decimal(decimal) => decimal_of(decimal.precision, decimal.scale)?,
        LogicalType::Integer(integer) => {
            let bits = u8::try_from(integer.bit_width).ok()?;
            if integer.is_signed { Kind::Signed { bits } } else { Kind::Unsigned { bits } }
        }
        LogicalType::Float16 => Kind::Half,
        LogicalType::Unknown => Kind::Nothing,
        _ => return None,
    })
}

fn by_converted(field: &Type, converted: ConvertedType) -> Option<Kind> {
    Some(match converted {
        ConvertedType::UTF8 | ConvertedType::ENUM => Kind::Text,
        ConvertedType::JSON => Kind::Json,
        ConvertedType::DATE => Kind::Date,
        ConvertedType::TIME_MILLIS => Kind::Time(Unit::Millis),
        ConvertedType::TIME_MICROS => Kind::Time(Unit::Micros),
        ConvertedType::TIMESTAMP_MILLIS => Kind::Timestamp { unit: Unit::Millis, is_utc: true },
        ConvertedType::TIMESTAMP_MICROS => Kind::Timestamp { unit: Unit::Micros, is_utc: true },
        ConvertedType::DECIMAL => decimal_of(field.get_precision(), field.get_scale())?,
        ConvertedType::UINT_8 => Kind::Unsigned { bits: 8 },
        ConvertedType::UINT_16 => Kind::Unsigned { bits: 16 },
        ConvertedType::UINT_32 => Kind::Unsigned { bits: 32 },
        ConvertedType::UINT_64 => Kind::Unsigned { bits: 64 },
        ConvertedType::INT_8 => Kind::Signed { bits: 8 },
        ConvertedType::INT_16 => Kind::Signed { bits: 16 },
        ConvertedType::INT_32 => Kind::Signed { bits: 32 },
        ConvertedType::INT_64 => Kind::Signed { bits: 64 },
        ConvertedType::INTERVAL => Kind::Interval,
        _ => return None,
    })
}

fn decimal_of(precision: i32, scale: i32) -> Option<Kind> {
    let (precision, scale) = (u16::try_from(precision).ok()?, u16::try_from(scale).ok()?);
    (scale <= precision && precision <= super::value::DIGITS_MAX)
        .then_some(Kind::Decimal { precision, scale })
}

impl Kind {
    /// Whether values of the physical type can be that; what contradicts itself is taken as its bytes.
    fn fits(self, field: &Type, physical: Physical) -> bool {
        let is_bytes = matches!(physical, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY);
        let has_length = |wanted: i32| match field {
            Type::PrimitiveType { type_length, .. } => {
                physical == Physical::FIXED_LEN_BYTE_ARRAY && *type_length == wanted
            }
            Type::GroupType { .. } => false,
        };
        match self {
            Self::Text | Self::Json | Self::Bytes => is_bytes,
            Self::Uuid => has_length(16),
            Self::Half => has_length(2),
            Self::Interval => has_length(12),
            Self::Date | Self::Time(Unit::Millis) => physical == Physical::INT32,
            Self::Time(_) | Self::Timestamp { .. } => physical == Physical::INT64,
            Self::Signed { bits } | Self::Unsigned { bits } => match bits {
                8 | 16 | 32 => physical == Physical::INT32,
                64 => physical == Physical::INT64,
                _ => false,
            },
            Self::Decimal { .. } => is_bytes || matches!(physical, Physical::INT32 | Physical::INT64),
            Self::Nothing => true,
            Self::Bool | Self::Float | Self::Double | Self::Int96 => false,
        }
    }

    fn sql_type(self) -> String {
        let name = match self {
            Self::Bool => "boolean",
            Self::Signed { bits: 8 | 16 } | Self::Unsigned { bits: 8 } => "smallint",
            Self::Signed { bits: 32 } | Self::Unsigned { bits: 16 } => "integer",
            Self::Signed { .. } | Self::Unsigned { bits: 32 } => "bigint",
            Self::Unsigned { .. } => "numeric(20,0)",
            Self::Float | Self::Half => "real",
            Self::Double => "double precision",
            Self::Decimal { precision, scale } => return format!("numeric({precision},{scale})"),
            Self::Date => "date",
            Self::Time(_) => "time",
            Self::Timestamp { is_utc: true, .. } => "timestamptz",
            Self::Timestamp { is_utc: false, .. } | Self::Int96 => "timestamp",
            Self::Text | Self::Nothing => "text",
            Self::Json => "jsonb",
            Self::Uuid => "uuid",
            Self::Bytes => "bytea",
            Self::Interval => "interval",
        };
        name.to_owned()
    }
}

impl Node {
    /// Takes bytes for text.
    pub(super) fn read_as_text(&mut self) {
        if let Shape::Leaf(kind @ Kind::Bytes) = &mut self.shape {
            *kind = Kind::Text;
        }
    }

    pub(super) fn column(&self) -> SchemaColumn {
        let sql_type = match &self.shape {
            Shape::Leaf(kind) => kind.sql_type(),
            _ => "jsonb".to_owned(),
        };
        SchemaColumn { name: self.name.clone(), sql_type, is_nullable: self.is_optional }
    }
}
