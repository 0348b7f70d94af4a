//! The lines that a program reads: first what its data are, where it has any, then its blocks. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nightshift_manifest::plugin::PluginManifest;
use serde_json::{Value, json};

use crate::field::{Field, TypedRecord};
use crate::outcome::json_into;
use crate::replica::Replica;

/// The line of a block, `{"records":[{"id":7,"name":"Bob"}]}`, in memory that is used again.
pub(super) struct Question {
    /// What stands before each value, in the order of `[input]`.
    keys: Vec<Vec<u8>>,
    line: Vec<u8>,
}

impl Question {
    /// For the plugin that `manifest` describes.
    pub(super) fn with(manifest: &PluginManifest) -> Question {
        let keys = manifest.input.keys().map(|name| format!(",{}:", json!(name)).into_bytes()).collect();
        Question { keys, line: Vec::new() }
    }

    /// The line about these records, with its end.
    pub(super) fn of(&mut self, records: &[TypedRecord<'_>]) -> &[u8] {
        let Question { keys, line } = self;
        line.clear();
        line.extend_from_slice(b"{\"records\":[");
        for (place, record) in records.iter().enumerate() {
            line.extend_from_slice(if place == 0 { b"{\"id\":" } else { b",{\"id\":" });
            json_into(line, record.id);
            for (key, field) in keys.iter().zip(record.fields) {
                line.extend_from_slice(key);
                match field {
                    Field::Null => line.extend_from_slice(b"null"),
                    Field::Text(text) => json_into(line, text),
                    Field::Integer(whole) => json_into(line, whole),
                    Field::Real(real) => json_into(line, real),
                }
            }
            line.push(b'}');
        }
        line.extend_from_slice(b"]}\n");
        line
    }
}

/// The line about tables that are files.
pub(super) fn open_tables(tables: &BTreeMap<String, PathBuf>) -> Vec<u8> {
    let tables: BTreeMap<&String, std::borrow::Cow<'_, str>> =
        tables.iter().map(|(name, path)| (name, path.to_string_lossy())).collect();
    line_of(&json!({ "open": { "tables": tables } }))
}

/// The line about the replica: how to get at it, by a socket or by host and port.
pub(super) fn open_replica(replica: &Replica) -> Vec<u8> {
    let mut data = json!({ "user": replica.user(), "password": replica.password(), "database": replica.schema() });
    match replica.socket() {
        Some(socket) => data["socket"] = socket.into(),
        None => {
            data["host"] = replica.host().into();
            data["port"] = replica.port().into();
        }
    }
    line_of(&json!({ "open": { "data": data } }))
}

fn line_of(value: &Value) -> Vec<u8> {
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_one_line_of_json_whatever_its_texts_hold() {
        let text =
            "runtime = \"process\"\ncommand = [\"x\"]\n[input]\na = \"text\"\nb = \"real\"\n[output]\nc = \"text\"\n";
        let mut question = Question::with(&PluginManifest::parse("p", text).expect("well formed"));
        let awkward = "\"\\\n\t\u{0}\u{2028}ä";
        let records = [
            TypedRecord { id: 7, fields: &[Field::Text(awkward), Field::Real(1.5)] },
            TypedRecord { id: -8, fields: &[Field::Text(""), Field::Null] },
        ];
        let line = String::from_utf8(question.of(&records).to_vec()).expect("UTF-8");
        assert_eq!(line.find('\n'), Some(line.len() - 1));
        let read: Value = serde_json::from_str(&line).expect("JSON");
        let expected = json!({"records": [{"id": 7, "a": awkward, "b": 1.5}, {"id": -8, "a": "", "b": null}]});
        assert_eq!(read, expected);
        assert_eq!(question.of(&[]), b"{\"records\":[]}\n");
    }

    #[test]
    fn a_program_gets_at_the_replica_by_a_socket_or_by_host_and_port() {
        let line = |address: &str| {
            let replica = Replica::parse(address).expect("an address").with_password("a\"b");
            serde_json::from_slice::<Value>(&open_replica(&replica)).expect("JSON")["open"]["data"].clone()
        };
        let whom = json!({"user": "reader", "password": "a\"b", "database": "company"});
        let mut expected = whom.clone();
        (expected["host"], expected["port"]) = ("db.example.org".into(), 3307.into());
        assert_eq!(line("mysql://reader@db.example.org:3307/company"), expected);
        let mut expected = whom;
        expected["socket"] = "/run/db.sock".into();
        assert_eq!(line("mysql://reader@localhost/company?socket=/run/db.sock"), expected);
    }
}
