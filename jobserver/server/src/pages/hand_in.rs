//! Handing in a CSV with a form: a file that is chosen, or dropped on the page; looked at first, if somebody wants to.
//!
//! The fields come before the file, so that everything is known when its first byte arrives; then it streams as in a
//! hand-in by the API, in the memory of one job. All of it is a task of its own, as there, so that a browser that goes away
//! leaves nothing behind.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::extract::multipart::{Field, Multipart};
use axum::response::Response;
use nightshift_wire::{Estimate, HandIn, JobSize, Preview};
use tokio::sync::oneshot;

use super::frame::{FORM_KEY, Frame, Visitor, filled};
use super::words::{counted, grouped, lasting};
use crate::access::Caller;
use crate::api::Shared;
use crate::api::hand_in::{Answer, drop_rest, receive_file};
use crate::app::App;
use crate::refused::Refused;

const DOING: &str = "handing in a batch";
/// What a field may hold.
const LONGEST_FIELD: usize = 4 * 1024;
/// More fields than the form has.
const MOST_FIELDS: usize = 20;

#[derive(Template)]
#[template(path = "hand_in.html")]
struct Page {
    frame: Frame,
    /// Name, columns it needs, columns it adds.
    plugins: Vec<(String, String, String)>,
    problem: String,
}

pub(super) async fn page(State(app): Shared, visitor: Visitor) -> Result<Response, Refused> {
    let catalogue = app.releases.now();
    let plugins = catalogue
        .plugins
        .iter()
        .map(|(name, offered)| (name.clone(), offered.inputs.join(", "), offered.outputs.join(", ")));
    super::shown(&Page {
        frame: visitor.frame(&app, "Hand in a batch", "batches"),
        plugins: plugins.collect(),
        problem: catalogue.problem.clone(),
    })
}

#[derive(Template)]
#[template(path = "preview.html")]
struct Looked {
    frame: Frame,
    preview: Preview,
    name: String,
}

impl Looked {
    fn records(&self) -> String {
        let more = if self.preview.complete { "" } else { " looked at so far" };
        format!("{}{more}", counted(self.preview.records, "record"))
    }

    fn jobs(&self) -> String {
        format!(
            "{} of up to {} each",
            counted(self.preview.jobs, "job"),
            counted(self.preview.job_size.into(), "record")
        )
    }

    /// How long it takes, and how that is known.
    fn time(&self) -> String {
        let Estimate { work_ms, elapsed_ms, how, .. } = &self.preview.estimate;
        match (elapsed_ms, work_ms) {
            (Some(..10_000), _) => format!("a few seconds ({how})"),
            (Some(elapsed), _) => format!("about {} ({how})", lasting(*elapsed)),
            (None, Some(work)) => format!("about {} of work ({how})", lasting(*work)),
            (None, None) => how.clone(),
        }
    }

    fn ignored(&self) -> String {
        self.preview.ignored.join(", ")
    }

    fn required(&self) -> String {
        self.preview.required.join(", ")
    }

    fn more_problems(&self) -> String {
        grouped(self.preview.more_problems)
    }

    fn is_fit(&self) -> bool {
        self.preview.problems.is_empty() && self.preview.records > 0
    }
}

pub(super) async fn preview(State(app): Shared, visitor: Visitor, form: Multipart) -> Result<Response, Refused> {
    let (visitor, answer) = take(&app, visitor, form, true).await?;
    match answer {
        Answer::Preview(preview) => {
            let frame = visitor.frame(&app, "Look at a batch", "batches");
            super::shown(&Looked { frame, name: preview.plugin.clone(), preview: *preview })
        }
        Answer::New(_) | Answer::Before(_) => Err(Refused::internal("looking at a batch")),
    }
}

pub(super) async fn hand_in(State(app): Shared, visitor: Visitor, form: Multipart) -> Result<Response, Refused> {
    let (_, answer) = take(&app, visitor, form, false).await?;
    match answer {
        Answer::New(batch) | Answer::Before(batch) => Ok(super::on_to(&format!("/batches/{}", batch.id))),
        Answer::Preview(_) => Err(Refused::internal(DOING)),
    }
}

/// Takes the form, as a task of its own.
async fn take(app: &Arc<App>, visitor: Visitor, form: Multipart, dry_run: bool) -> Result<(Visitor, Answer), Refused> {
    let (answer, answered) = oneshot::channel();
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let outcome = read(&app, &visitor, form, dry_run).await;
        // Nobody hears it when the browser is gone; a batch that is whole then stands in the list.
        let _ = answer.send(outcome.map(|answer| (visitor, answer)));
    });
    answered.await.map_err(|_| Refused::internal(DOING))?
}

async fn read(app: &App, visitor: &Visitor, mut form: Multipart, dry_run: bool) -> Result<Answer, Refused> {
    let mut asked = HandIn { dry_run, ..HandIn::default() };
    let mut key = String::new();
    for _ in 0..MOST_FIELDS {
        let broken = |_| Refused::bad_request(format!("{DOING}: the form cannot be read; send it again"));
        let Some(mut field) = form.next_field().await.map_err(broken)? else { break };
        match field.name().unwrap_or_default().to_owned().as_str() {
            "file" => {
                visitor.must_have_sent(&key)?;
                return take_file(app, &visitor.caller, asked, field).await;
            }
            FORM_KEY => key = text(&mut field).await?,
            "plugin" => asked.plugin = text(&mut field).await?,
            "name" => asked.name = filled(&text(&mut field).await?),
            "key" => asked.key = filled(&text(&mut field).await?),
            "priority" => asked.priority = number("priority", &text(&mut field).await?)?,
            "first" => asked.first = number("first", &text(&mut field).await?)?,
            "job_size" => {
                let size = filled(&text(&mut field).await?).map(|size| size.parse::<JobSize>()).transpose();
                asked.job_size = size.map_err(|error| Refused::bad_request(format!("{DOING}: {error}")))?;
            }
            _ => drop(text(&mut field).await?),
        }
    }
    Err(Refused::bad_request(format!("{DOING}: there is no file in the form; choose one")))
}

async fn take_file(app: &App, caller: &Caller, mut asked: HandIn, mut file: Field<'_>) -> Result<Answer, Refused> {
    let chosen = file.file_name().map(ToOwned::to_owned).and_then(|name| filled(&name));
    let Some(chosen) = chosen else {
        return Err(Refused::bad_request(format!("{DOING}: no file was chosen")));
    };
    // Without a name of its own a batch is called as the file is.
    asked.name = asked.name.or_else(|| filled(chosen.trim_end_matches(".csv")));
    let taken = receive_file(app, caller, asked, &mut file).await;
    if !matches!(taken, Ok(Answer::New(_) | Answer::Before(_))) {
        drop_rest(app, &mut file).await;
    }
    taken
}

fn number<T: std::str::FromStr>(what: &str, text: &str) -> Result<Option<T>, Refused> {
    let number = filled(text).map(|text| text.parse()).transpose();
    number.map_err(|_| Refused::bad_request(format!("{DOING}: the field {what} takes a whole number, not {text:?}")))
}

/// What stands in a field that is no file.
async fn text(field: &mut Field<'_>) -> Result<String, Refused> {
    let broken = |_| Refused::bad_request(format!("{DOING}: the form broke off; send it again"));
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(broken)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > LONGEST_FIELD {
            let name = field.name().unwrap_or_default();
            return Err(Refused::bad_request(format!("{DOING}: the field {name:?} holds too much")));
        }
    }
    String::from_utf8(bytes).map_err(|_| Refused::bad_request(format!("{DOING}: a field is not text")))
}
