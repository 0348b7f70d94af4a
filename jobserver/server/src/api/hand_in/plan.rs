//! What a hand-in asks for, checked before its first byte is read: plugin, job size, where the records come from.

use axum::http::{HeaderMap, StatusCode, header};
use nightshift_rules::auto_size::{self, Size, Speed};
use nightshift_store::NewBatch;
use nightshift_wire::{ErrorRate, HandIn, InputFormat, JobSize, Requirements, code};
use serde_json::json;

use super::incoming::{Incoming, Keys, Most};
use crate::api::requirements;
use crate::app::App;
use crate::catalogue::{Catalogue, Offered};
use crate::clock::timestamp;
use crate::csv::intake::Wanted;
use crate::refused::{Refused, while_doing};

/// The longest name of a batch.
const LONGEST_NAME: usize = 200;
/// The longest key: the store keeps it with its owner's name before it.
const LONGEST_KEY: usize = 150;

/// What the head of the request says about its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    format: InputFormat,
    gzip: bool,
}

impl Form {
    /// Plain CSV, as it stands in a form of a page.
    pub(super) fn csv() -> Form {
        Form { format: InputFormat::Csv, gzip: false }
    }

    pub(super) fn of(headers: &HeaderMap) -> Result<Form, Refused> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = text(header::CONTENT_TYPE).to_ascii_lowercase();
        if kind.starts_with("multipart/") {
            let detail = "handing in a batch: this is a form; send the CSV itself as the body, as text/csv";
            return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, detail));
        }
        let essence = kind.split_once(';').map_or(kind.as_str(), |(essence, _)| essence).trim();
        let json_lines = ["application/jsonl", "application/x-ndjson", "application/jsonlines"];
        let format = if json_lines.contains(&essence) { InputFormat::Jsonl } else { InputFormat::Csv };
        let gzip = match text(header::CONTENT_ENCODING).trim().to_ascii_lowercase().as_str() {
            "" | "identity" => false,
            "gzip" | "x-gzip" => true,
            other => {
                let detail =
                    format!("handing in a batch: it is encoded as {other:?}; send it as it is, or packed with gzip");
                return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, detail));
            }
        };
        Ok(Form { format, gzip })
    }
}

/// A hand-in that can be begun.
pub(super) struct Plan {
    /// The batch, but for its columns.
    pub(super) new: NewBatch,
    pub(super) release: String,
    pub(super) wanted: Wanted,
    pub(super) size: Size,
    pub(super) speed: Speed,
    pub(super) key: Option<String>,
    /// Whether the data are on workers' replicas: then the batch is pinned to a position of the primary.
    pub(super) on_replica: bool,
    /// Whose the batch is.
    pub(super) owner: Option<String>,
    /// What was asked for, as it is kept with the batch. The name is not part of it: it changes nothing of the work.
    pub(super) parameters: String,
    pub(super) dry_run: bool,
    /// A dry run reads so many records.
    pub(super) first: Option<u64>,
    format: InputFormat,
    gzip: bool,
    keys: Option<Keys>,
    most: Most,
}

impl Plan {
    pub(super) async fn new(app: &App, asked: HandIn, form: Form, catalogue: &Catalogue) -> Result<Plan, Refused> {
        let offered = catalogue.plugin(&asked.plugin).map_err(|error| {
            let detail = format!("handing in a batch for {}: {error}", asked.plugin);
            Refused::new(StatusCode::UNPROCESSABLE_ENTITY, code::UNKNOWN_PLUGIN, detail)
        })?;
        let settings = &catalogue.settings;
        let now = app.clock.now();
        let jobs = app.store.speed(&asked.plugin).await.map_err(while_doing(|| "handing in a batch"))?;
        let speed = Speed::of(jobs, offered.samples);
        let window = settings.hours.shortest_window(timestamp(now));
        let window_ms = window.map(|window| u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
        let size = auto_size::size(asked.job_size, speed, settings.job_size, window_ms)
            .map_err(|error| Refused::bad_request(format!("handing in a batch: {error}")))?;
        let format = asked.format.unwrap_or(form.format);
        let keys = keys(&asked, offered, app.limits.records)?;
        let required = requirements::asked(&asked)
            .map_err(|problem| Refused::bad_request(format!("handing in a batch: {problem}")))?;
        let parameters = parameters(&asked, format, required.as_ref());
        let name = match asked.name {
            Some(name) => short_text("a name", name, LONGEST_NAME)?,
            None => format!("{}-{}", asked.plugin, timestamp(now).strftime("%Y%m%d-%H%M%S")),
        };
        Ok(Plan {
            new: NewBatch {
                name,
                plugin: asked.plugin.clone(),
                priority: asked.priority.unwrap_or(0),
                requirements: requirements::over(&offered.requirements, required.as_ref()),
                columns: Vec::new(),
                outputs: offered.outputs.clone(),
                lease_ms: u64::try_from(settings.lease.as_millis()).unwrap_or(u64::MAX),
                sampled: match speed {
                    Speed::Sampled(samples) => Some(samples),
                    Speed::Measured(_) | Speed::Unknown => None,
                },
                max_attempts: settings.max_attempts,
                error_rate: asked.error_rate.unwrap_or(ErrorRate::per_mille(settings.error_rate)),
                position: None,
            },
            release: catalogue.release.clone().unwrap_or_default(),
            wanted: Wanted { plugin: asked.plugin, inputs: offered.inputs.clone(), outputs: offered.outputs.clone() },
            size,
            speed,
            key: asked.key.map(|key| short_text("a key", key, LONGEST_KEY)).transpose()?,
            on_replica: offered.on_replica,
            owner: None,
            parameters,
            dry_run: asked.dry_run,
            first: asked.first,
            format,
            gzip: form.gzip,
            keys,
            most: Most { records: app.limits.records, bytes: app.limits.input },
        })
    }

    /// What reads the records.
    pub(super) fn incoming(&self) -> Incoming {
        Incoming::new(self.doing(), self.wanted.clone(), (self.format, self.gzip), self.keys.clone(), self.most)
    }

    pub(super) fn doing(&self) -> String {
        format!("handing in batch {:?}", self.new.name)
    }
}

fn short_text(what: &str, text: String, longest: usize) -> Result<String, Refused> {
    let wrong = text.trim().is_empty() || text.chars().count() > longest || text.chars().any(char::is_control);
    if wrong {
        let detail = format!("handing in a batch: {what} has 1 to {longest} letters, and no control characters");
        return Err(Refused::bad_request(detail));
    }
    Ok(text)
}

/// The range of keys that was asked for, if one was.
fn keys(asked: &HandIn, offered: &Offered, most: u64) -> Result<Option<Keys>, Refused> {
    let bad = |problem: String| Err(Refused::bad_request(format!("handing in a batch: {problem}")));
    let (table, column, from, to) = match (&asked.table, &asked.key_column, asked.from, asked.to) {
        (None, None, None, None) => return Ok(None),
        (Some(table), Some(column), Some(from), Some(to)) => (table, column, from, to),
        _ => return bad("a range of keys needs all of table, key_column, from and to".to_owned()),
    };
    if !offered.tables.contains(table) {
        let tables = match offered.tables.join(", ") {
            none if none.is_empty() => "none".to_owned(),
            tables => tables,
        };
        return bad(format!(
            "plugin {} does not read the table {table:?}; the tables it reads: {tables}",
            asked.plugin
        ));
    }
    let count = i128::from(to) - i128::from(from) + 1;
    if count < 1 {
        return bad(format!("there is no key from {from} to {to}: write the smaller one first"));
    }
    if count > i128::from(most) {
        let detail = format!(
            "handing in a batch: {count} keys are more than the {most} records a batch may have here (max_records in \
             jobserver.toml): hand in several ranges"
        );
        return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE, detail));
    }
    Ok(Some(Keys { column: column.clone(), next: Some(from), to }))
}

/// What was asked for, in one canonical text.
fn parameters(asked: &HandIn, format: InputFormat, required: Option<&Requirements>) -> String {
    let mut parameters = json!({
        "plugin": asked.plugin,
        "priority": asked.priority.unwrap_or(0),
        "job_size": asked.job_size.map(|size: JobSize| size.to_string()),
    });
    if let Some(required) = required {
        parameters["requirements"] = json!(required);
    }
    if let Some(rate) = asked.error_rate {
        parameters["error_rate"] = json!(rate);
    }
    match &asked.table {
        None => parameters["format"] = json!(format),
        Some(table) => {
            parameters["table"] = json!(table);
            parameters["key_column"] = json!(asked.key_column);
            parameters["from"] = json!(asked.from);
            parameters["to"] = json!(asked.to);
        }
    }
    parameters.to_string()
}
