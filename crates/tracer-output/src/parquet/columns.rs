//! Rows to columns.

use std::{io, sync::Arc};

use jiff::Timestamp;
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::Type,
};

use crate::flat::{COLUMNS, Column, Kind, Row, Value};

/// A writer of a new file.
pub(super) fn writer<W: io::Write + Send>(out: W) -> io::Result<SerializedFileWriter<W>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("tracer ", env!("CARGO_PKG_VERSION")).into())
        .build();
    Ok(SerializedFileWriter::new(out, Arc::new(schema()?), Arc::new(properties))?)
}

fn schema() -> Result<Type, ParquetError> {
    let fields: Result<Vec<_>, _> =
        COLUMNS.iter().map(|column| field(column).map(Arc::new)).collect();
    Type::group_type_builder("tracer").with_fields(fields?).build()
}

fn field(column: &Column) -> Result<Type, ParquetError> {
    let (physical, logical) = match column.kind {
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Number => (Physical::INT64, None),
        Kind::Flag => (Physical::BOOLEAN, None),
    };
    Type::primitive_type_builder(column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

/// What has been gathered, column by column.
#[derive(Default)]
pub(super) struct Columns {
    columns: Vec<Gathered>,
    rows: usize,
}

#[derive(Default)]
struct Gathered {
    /// For each row 1 where it has a value, else 0.
    levels: Vec<i16>,
    numbers: Vec<i64>,
    texts: Vec<ByteArray>,
    flags: Vec<bool>,
}

impl Columns {
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    pub(super) fn push(&mut self, row: &Row) {
        self.columns.resize_with(COLUMNS.len(), Gathered::default);
        self.rows += 1;
        for (gathered, (column, value)) in self.columns.iter_mut().zip(row.columns()) {
            let known = value.is_some_and(|value| gathered.push(column.kind, value));
            gathered.levels.push(i16::from(known));
        }
    }

    /// Writes a row group and forgets it.
    pub(super) fn write<W: io::Write + Send>(
        &mut self,
        writer: &mut SerializedFileWriter<W>,
    ) -> io::Result<()> {
        let Self { columns, .. } = std::mem::take(self);
        let mut group = writer.next_row_group()?;
        for (gathered, column) in columns.into_iter().zip(&COLUMNS) {
            let Some(mut out) = group.next_column()? else { break };
            let Gathered { levels, numbers, texts, flags } = gathered;
            match column.kind {
                Kind::Time | Kind::Number => batch::<Int64Type>(&mut out, &numbers, &levels)?,
                Kind::Text => batch::<ByteArrayType>(&mut out, &texts, &levels)?,
                Kind::Flag => batch::<BoolType>(&mut out, &flags, &levels)?,
            }
            out.close()?;
        }
        group.close()?;
        Ok(())
    }
}

impl Gathered {
    /// Whether the value is of that kind.
    fn push(&mut self, kind: Kind, value: &Value) -> bool {
        match (kind, value) {
            (Kind::Time, Value::Text(text)) => {
                let time = text.parse::<Timestamp>().ok();
                let time = time.and_then(|time| i64::try_from(time.as_nanosecond()).ok());
                self.numbers.extend(time);
                time.is_some()
            }
            (Kind::Text, Value::Text(text)) => {
                self.texts.push(text.as_str().into());
                true
            }
            (Kind::Number, Value::Number(number)) => {
                self.numbers.push(number.cast_signed());
                true
            }
            (Kind::Flag, Value::Flag(flag)) => {
                self.flags.push(*flag);
                true
            }
            _ => false,
        }
    }
}

fn batch<T: DataType>(
    out: &mut SerializedColumnWriter<'_>,
    values: &[T::T],
    levels: &[i16],
) -> Result<(), ParquetError> {
    out.typed::<T>().write_batch(values, Some(levels), None).map(drop)
}
