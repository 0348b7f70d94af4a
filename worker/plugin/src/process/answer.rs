//! The lines that a program answers with, judged. Pure.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;

use nightshift_manifest::plugin::PluginManifest;
use nightshift_wire::RecordId;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::de::StrRead;

use crate::BlockError;
use crate::block::Answers;
use crate::field::TypedRecord;
use crate::isolate::Fault;
use crate::outcome::{self, Found, Outcomes};

/// So much of a line that is no answer is shown, in characters.
const EXCERPT: usize = 60;
const NEITHER: &[u8] = b"the plugin returned neither ok nor error for this record, or both";

/// Whether the program opened its data.
///
/// # Errors
/// Why not, as it says itself or because it says something else.
pub(super) fn opened(line: &[u8]) -> Result<(), String> {
    let expected = "it should answer {\"opened\":true} or {\"error\":\"why\"}";
    let answer: OpenedLine<'_> = serde_json::from_slice(line).map_err(|error| format!("{expected}: {error}"))?;
    match (answer.opened, answer.error) {
        (Some(true), None) => Ok(()),
        (_, Some(Text(error))) => Err(error.into_owned()),
        (_, None) => Err(expected.to_owned()),
    }
}

/// An outcome for each of `records`, in order, from the program's line; takes from `room`.
///
/// # Errors
/// When it is no such line, says something of records nobody asked for, or more than there is room for.
pub(super) fn judge(
    line: &[u8],
    records: &[TypedRecord<'_>],
    manifest: &PluginManifest,
    room: &mut usize,
) -> Result<Outcomes, Fault> {
    let text = std::str::from_utf8(line).map_err(|_| Fault::OfRun("its answer is not UTF-8".to_owned()))?;
    let mut judge =
        Judge { manifest, room, answers: Answers::to(records, line.len()), values: Vec::new(), fault: None };
    let mut reader = serde_json::Deserializer::from_str(text);
    judge.read(&mut reader).map_err(|error| Fault::OfRun(no_answer(text, &error)))?;
    match judge.fault {
        Some(fault) => Err(fault),
        None => Ok(judge.answers.into_outcomes()),
    }
}

/// Judges results one by one, as they are read.
struct Judge<'j, 'r, 'a> {
    manifest: &'j PluginManifest,
    room: &'j mut usize,
    answers: Answers<'r>,
    /// The values of one result, in memory that is used again.
    values: Vec<(Cow<'a, str>, Scalar<'a>)>,
    /// What is wrong with the whole block. The line is read to its end all the same: if it is none, that is what is wrong.
    fault: Option<Fault>,
}

impl<'a> Judge<'_, '_, 'a> {
    fn read(&mut self, reader: &mut serde_json::Deserializer<StrRead<'a>>) -> Result<(), serde_json::Error> {
        reader.deserialize_map(Line(self))?;
        reader.end()
    }

    /// Notes what the program says of a record.
    fn take(&mut self, part: &ResultPart<'_>) {
        let Some(asked) = self.answers.asked(part.id) else {
            let (plugin, found) = (self.manifest.name.clone(), part.id.to_string());
            self.fault = Some(Fault::OfBlock(BlockError::ForeignRow { plugin, found }));
            return;
        };
        let (output, values) = (&self.manifest.output, &self.values);
        let write = |text: &mut Vec<u8>| match (part.ok, &part.error) {
            (Some(Values), None) => {
                let values = values.iter().map(|(name, value)| Ok::<_, Infallible>((name.as_ref(), value.found())));
                outcome::of_values(text, output, values)
            }
            (None, Some(Text(error))) => Ok(outcome::of_error(text, error.as_bytes())),
            _ => Ok(outcome::of_error(text, NEITHER)),
        };
        let Ok(size) = self.answers.note(asked, write);
        self.fault = outcome::fit(&self.manifest.name, size, self.room).err();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenedLine<'a> {
    opened: Option<bool>,
    #[serde(borrow)]
    error: Option<Text<'a>>,
}

/// What is said of a record.
#[derive(Default)]
struct ResultPart<'a> {
    id: RecordId,
    /// Whether there are values, which stand in [`Judge::values`].
    ok: Option<Values>,
    error: Option<Text<'a>>,
}

/// There are values.
#[derive(Clone, Copy)]
struct Values;

/// A value as JSON has it.
enum Scalar<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Other(&'static str),
}

impl Scalar<'_> {
    fn found(&self) -> Found<'_> {
        match self {
            Scalar::Null => Found::Null,
            Scalar::Integer(whole) => Found::Integer(*whole),
            Scalar::Real(real) => Found::Real(*real),
            Scalar::Text(text) => Found::Text(text.as_bytes()),
            Scalar::Other(what) => Found::Other((*what).to_owned()),
        }
    }
}

/// A text; where nothing in it is escaped, as it stands on the line.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads a line, `{"results":[…]}`.
struct Line<'l, 'j, 'r, 'a>(&'l mut Judge<'j, 'r, 'a>);

impl<'a> Visitor<'a> for Line<'_, '_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with results")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(Text(key)) = map.next_key()? {
            match key.as_ref() {
                "results" if !std::mem::replace(&mut seen, true) => map.next_value_seed(List(&mut *self.0))?,
                "results" => return Err(de::Error::duplicate_field("results")),
                other => return Err(de::Error::unknown_field(other, &["results"])),
            }
        }
        if seen { Ok(()) } else { Err(de::Error::missing_field("results")) }
    }
}

/// Reads the list of results.
struct List<'l, 'j, 'r, 'a>(&'l mut Judge<'j, 'r, 'a>);

impl<'a> DeserializeSeed<'a> for List<'_, '_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a> Visitor<'a> for List<'_, '_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list with a result for each record")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(part) = list.next_element_seed(One(&mut self.0.values))? {
            // After the first fault the rest is only read.
            if self.0.fault.is_none() {
                self.0.take(&part);
            }
        }
        Ok(())
    }
}

/// Reads one result, its values into the list.
struct One<'l, 'a>(&'l mut Vec<(Cow<'a, str>, Scalar<'a>)>);

impl<'a> DeserializeSeed<'a> for One<'_, 'a> {
    type Value = ResultPart<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for One<'_, 'a> {
    type Value = ResultPart<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with id and ok or error")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut id, mut part) = (None, ResultPart::default());
        while let Some(Text(key)) = map.next_key()? {
            match key.as_ref() {
                "id" if id.is_none() => id = Some(map.next_value()?),
                "ok" if part.ok.is_none() => part.ok = map.next_value_seed(Object(&mut *self.0))?,
                "error" if part.error.is_none() => part.error = map.next_value()?,
                "id" => return Err(de::Error::duplicate_field("id")),
                "ok" => return Err(de::Error::duplicate_field("ok")),
                "error" => return Err(de::Error::duplicate_field("error")),
                other => return Err(de::Error::unknown_field(other, &["id", "ok", "error"])),
            }
        }
        Ok(ResultPart { id: id.ok_or_else(|| de::Error::missing_field("id"))?, ..part })
    }
}

/// Reads the values of a result into the list; `None` for null.
struct Object<'l, 'a>(&'l mut Vec<(Cow<'a, str>, Scalar<'a>)>);

impl<'a> DeserializeSeed<'a> for Object<'_, 'a> {
    type Value = Option<Values>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Object<'_, 'a> {
    type Value = Option<Values>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a value for each output column")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        self.0.clear();
        while let Some((Text(name), value)) = map.next_entry()? {
            self.0.push((name, value));
        }
        Ok(Some(Values))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Scalar::Null)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Scalar::Other(if value { "true" } else { "false" }))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Scalar::Integer(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
                Ok(i64::try_from(value).map_or(Scalar::Real(value as f64), Scalar::Integer))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Scalar::Real(value))
            }

            fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Borrowed(value)))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Scalar::Text(Cow::Owned(value.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("a list"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other("an object"))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Why a line is no answer, with its first words: they often were meant for people.
fn no_answer(line: &str, error: &serde_json::Error) -> String {
    let first: String = line.chars().take(EXCERPT).collect();
    format!(
        "its answer is not {{\"results\":[…]}} on one line: {error}; it begins with {first:?} (what is meant for people goes to \
         standard error)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(line: &[u8]) -> Result<Outcomes, String> {
        let text = "runtime = \"process\"\ncommand = [\"x\"]\n[input]\na = \"text\"\n[output]\nn = \"integer\"\nt = \"text\"\n";
        let manifest = PluginManifest::parse("p", text).expect("well formed");
        let records = [TypedRecord { id: 1, fields: &[] }, TypedRecord { id: 2, fields: &[] }];
        judge(line, &records, &manifest, &mut 1_000).map_err(|fault| match fault {
            Fault::OfRun(why) => why,
            Fault::OfBlock(error) => error.to_string(),
        })
    }

    fn errors(line: &str) -> Vec<String> {
        let outcomes = judged(line.as_bytes()).expect("taken");
        outcomes.iter().map(|(text, _)| String::from_utf8(text.to_vec()).expect("UTF-8")).collect()
    }

    #[test]
    fn results_may_come_in_any_order_and_each_has_values_or_an_error() {
        assert_eq!(
            errors(r#"{"results":[{"id":2,"error":"no \"name\""},{"id":1,"ok":{"n":3,"t":"\u00e4"}}]}"#),
            [r#""ok":{"n":3,"t":"ä"}"#, r#""error":"no \"name\"""#]
        );
        let both = errors(r#"{"results":[{"id":1,"ok":{},"error":"x"},{"id":2}]}"#);
        assert!(both.iter().all(|outcome| outcome.contains("neither ok nor error")), "{both:?}");
    }

    #[test]
    fn a_value_that_does_not_fit_its_column_costs_its_record_an_error() {
        for (value, found) in
            [("[1]", "a list"), ("{}", "an object"), ("true", "true"), ("18446744073709551615", "the real")]
        {
            let line = format!(r#"{{"results":[{{"id":1,"ok":{{"n":{value}}}}},{{"id":2,"ok":{{"n":null}}}}]}}"#);
            let outcomes = errors(&line);
            assert!(outcomes[0].contains(found), "{outcomes:?}");
            assert_eq!(outcomes[1], r#""ok":{}"#);
        }
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        assert_eq!(judged(b"{\"results\":[\xff]}"), Err("its answer is not UTF-8".to_owned()));
        for line in ["", "hello", "{\"results\":[]}x", "{\"results\":[{\"id\":1,\"more\":2}]}", "{}"] {
            assert!(judged(line.as_bytes()).is_err_and(|why| why.contains("not {\"results\":[…]}")), "{line}");
        }
        assert!(judged(br#"{"results":[{"id":3,"ok":{}}]}"#).is_err_and(|why| why.contains("record_id 3")));
    }

    #[test]
    fn data_are_opened_or_it_says_why_not() {
        assert_eq!(opened(b"{\"opened\":true}"), Ok(()));
        assert_eq!(opened(b"{\"error\":\"no memory\"}"), Err("no memory".to_owned()));
        for other in ["{\"opened\":false}", "{}", "ready", "{\"results\":[]}"] {
            assert!(opened(other.as_bytes()).is_err_and(|why| why.contains("it should answer")), "{other}");
        }
    }
}
