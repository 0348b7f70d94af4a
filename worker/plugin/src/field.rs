//! A record's values in the types that `[input]` declares: what every runtime hands to its plugin. Pure.

use nightshift_manifest::plugin::{ColumnType, PluginManifest};
use nightshift_wire::{Record, RecordId};

use crate::BlockError;

/// So much of a value that does not fit its type is shown, in characters.
const EXCERPT: usize = 40;

/// A value of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'a> {
    /// An empty field of a column of numbers.
    Null,
    /// A text, perhaps an empty one.
    Text(&'a str),
    /// A whole number.
    Integer(i64),
    /// A finite floating-point number.
    Real(f64),
}

/// A record whose values have the types that `[input]` declares.
#[derive(Debug)]
pub(crate) struct TypedRecord<'a> {
    /// The record's number.
    pub(crate) id: RecordId,
    /// Its values, in the order of `[input]`.
    pub(crate) fields: &'a [Field<'a>],
}

/// An input column, and where it stands in a block.
pub(crate) struct Place<'m> {
    index: usize,
    name: &'m str,
    column_type: ColumnType,
}

/// Where each input column stands in the block, in the order of `[input]`.
///
/// # Errors
/// The first column that the block lacks.
pub(crate) fn places<'m>(manifest: &'m PluginManifest, columns: &[String]) -> Result<Vec<Place<'m>>, BlockError> {
    let find = |name: &str| columns.iter().position(|column| column == name);
    manifest
        .input
        .iter()
        .map(|(name, column_type)| match find(name) {
            Some(index) => Ok(Place { index, name, column_type: *column_type }),
            None => Err(BlockError::MissingColumn { plugin: manifest.name.clone(), column: name.clone() }),
        })
        .collect()
}

/// Puts a record's values, as its plugin gets them, behind those of the records before it; the error names the column at
/// fault, and nothing is put then.
pub(crate) fn typed<'a>(record: &'a Record, places: &[Place<'_>], fields: &mut Vec<Field<'a>>) -> Result<(), String> {
    let before = fields.len();
    let field = |Place { index, name, column_type }: &Place<'_>| {
        let Some(text) = record.values.get(*index) else {
            return Err(format!("the record has no value in column {name}"));
        };
        read(text, *column_type).ok_or_else(|| {
            let excerpt: String = text.chars().take(EXCERPT).collect();
            format!("column {name} is {excerpt:?}, which is not of type {}", column_type.name())
        })
    };
    for place in places {
        match field(place) {
            Ok(field) => fields.push(field),
            Err(problem) => {
                fields.truncate(before);
                return Err(problem);
            }
        }
    }
    Ok(())
}

/// An empty field is an empty text, but no number.
fn read(text: &str, column_type: ColumnType) -> Option<Field<'_>> {
    match column_type {
        ColumnType::Text => Some(Field::Text(text)),
        _ if text.is_empty() => Some(Field::Null),
        ColumnType::Integer => text.parse().ok().map(Field::Integer),
        ColumnType::Real => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Field::Real),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_as_the_type_its_column_declares() {
        assert_eq!(read("", ColumnType::Text), Some(Field::Text("")));
        assert_eq!(read("", ColumnType::Integer), Some(Field::Null));
        assert_eq!(read("-12", ColumnType::Integer), Some(Field::Integer(-12)));
        assert_eq!(read("1.5", ColumnType::Integer), None);
        assert_eq!(read("1e3", ColumnType::Real), Some(Field::Real(1000.0)));
        assert_eq!(read("NaN", ColumnType::Real), None);
    }
}
