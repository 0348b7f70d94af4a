//! The verbs of the API as methods, and the hand-in, which is a stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use nightshift_wire::{
    Answer as WireAnswer, Answers, AttemptId, Batch, BatchId, BatchReceipt, Claim, ClaimRequest, Claims, GiveBack,
    HandIn, Heartbeat, InputFormat, Job, Lease, Only, Preview, Receipt, Records, Report, ResultsFormat, ResultsQuery,
    Status, StopView, Submission, Submissions, Worker,
};
use reqwest::{Response, StatusCode};

use crate::ClientError;
use crate::access::Access;
use crate::ask::{Answer, Ask, Line, Timeouts, ask, at, silent};
use crate::error::{Cause, root_cause};
use crate::servers::{Pinned, Servers, name};
use crate::stream::{Download, Progress, Upload};

/// How long a server may count the results of the largest batch.
const COUNTING: Duration = Duration::from_secs(15 * 60);
/// A server writes more keys than this in a second.
const KEYS_PER_SECOND: u64 = 10_000;

/// What became of a hand-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandedIn {
    /// A new batch.
    New(Batch),
    /// The batch that its key stood for already; nothing was stored.
    Before(Batch),
}

impl HandedIn {
    /// The batch.
    pub fn batch(self) -> Batch {
        match self {
            HandedIn::New(batch) | HandedIn::Before(batch) => batch,
        }
    }
}

/// A client of the job servers in a list. Cheap to make; nothing is connected before the first request.
#[derive(Debug)]
pub struct Client(pub(crate) Line);

impl Client {
    /// A client that tries the servers at `urls` (such as `http://10.0.0.5:7070`) in turn.
    ///
    /// # Errors
    /// When the list is empty or names something that cannot be a job server.
    pub fn new(urls: impl IntoIterator<Item = String>, timeouts: Timeouts) -> Result<Client, ClientError> {
        Client::with_access(urls, timeouts, &Access::default())
    }

    /// A client that proves who asks, and that believes the job servers of one certificate authority.
    ///
    /// # Errors
    /// As [`Client::new`]; also when an address begins with `https://` and no authority is pinned.
    pub fn with_access(
        urls: impl IntoIterator<Item = String>,
        timeouts: Timeouts,
        access: &Access,
    ) -> Result<Client, ClientError> {
        let servers = Servers::parse(urls, if access.pin.is_some() { Pinned::Yes } else { Pinned::No })?;
        let setup = |error: &(dyn std::error::Error + 'static)| ClientError::Setup(root_cause(error));
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(access.tls().map_err(|error| setup(&error))?)
            .default_headers(access.headers().map_err(|error| setup(&error))?)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(timeouts.connect)
            .user_agent(concat!("nightshift/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| setup(&error))?;
        Ok(Client(Line { http, servers, timeouts, cap: Arc::default() }))
    }

    /// Keeps records on their way here and results on their way to the server below so many bytes a second, from now
    /// on; without a number there is no cap. Everything else is small and never waits.
    pub fn cap_bulk(&self, bytes_per_second: Option<u64>) {
        self.0.cap.set(bytes_per_second);
    }

    /// Asks for one job, whatever `max` says; `None` when none came up within the request's `wait_ms`.
    ///
    /// # Errors
    /// As every verb: the server is away, breaks off or refuses; see [`ClientError`].
    pub async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, ClientError> {
        let one = ClaimRequest { max: 1, ..request.clone() };
        Ok(self.claim_many(&one).await?.into_iter().next())
    }

    /// Asks for up to `max` jobs, in the order in which to do them; none when none came up within `wait_ms`.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn claim_many(&self, request: &ClaimRequest) -> Result<Vec<Claim>, ClientError> {
        let wait = Duration::from_millis(request.wait_ms);
        let answer = self.ask(Ask::post("claiming a job", "v1/claims", request).server_waits(wait)).await?;
        if answer.is_empty() { Ok(Vec::new()) } else { answer.json().await.map(|Claims { claims }| claims) }
    }

    /// The records of an attempt's job, only the columns asked for and in that order.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn records(&self, attempt: AttemptId, secret: &str, columns: &[String]) -> Result<Records, ClientError> {
        self.records_and_json(attempt, secret, columns).await.map(|(records, _)| records)
    }

    /// The same, and the JSON that they were read from.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn records_and_json(
        &self,
        attempt: AttemptId,
        secret: &str,
        columns: &[String],
    ) -> Result<(Records, Vec<u8>), ClientError> {
        let ask =
            Ask::get(format!("fetching the records of attempt {attempt}"), format!("v1/attempts/{attempt}/records"))
                .query("secret", secret);
        let ask = columns.iter().fold(ask, |ask, column| ask.query("column", column));
        self.ask(ask.bulk()).await?.value_and_json().await
    }

    /// Renews an attempt's lease.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn heartbeat(&self, attempt: AttemptId, heartbeat: &Heartbeat) -> Result<Lease, ClientError> {
        let doing = format!("renewing the lease of attempt {attempt}");
        self.ask(Ask::post(doing, format!("v1/attempts/{attempt}/heartbeat"), heartbeat)).await?.json().await
    }

    /// Hands in an attempt's results. Repeating it is safe.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn submit(&self, attempt: AttemptId, submission: &Submission) -> Result<Receipt, ClientError> {
        let json = serde_json::to_vec(submission).expect("wire types have text keys only and always serialize");
        self.submit_json(attempt, json).await
    }

    /// As [`Client::submit`], of a [`Submission`] that is JSON already.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn submit_json(&self, attempt: AttemptId, submission: Vec<u8>) -> Result<Receipt, ClientError> {
        let doing = format!("handing in the results of attempt {attempt}");
        self.ask(Ask::post_json(doing, format!("v1/attempts/{attempt}/results"), submission).bulk()).await?.json().await
    }

    /// Hands in the results of several attempts, [`MOST_AT_ONCE`](nightshift_wire::MOST_AT_ONCE) at most; the answers
    /// stand in their order. Repeating it is safe.
    ///
    /// # Errors
    /// See [`Client::claim`]; what is wrong with one submission is its answer.
    pub async fn submit_many(&self, submissions: &Submissions) -> Result<Vec<WireAnswer>, ClientError> {
        let doing = format!("handing in the results of {} attempts", submissions.submissions.len());
        let Answers { answers } = self.ask(Ask::post(doing, "v1/results", submissions)).await?.json().await?;
        Ok(answers)
    }

    /// Gives an attempt's job back unfinished. Repeating it is safe.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn give_back(&self, attempt: AttemptId, give_back: &GiveBack) -> Result<(), ClientError> {
        let doing = format!("giving attempt {attempt} back");
        self.ask(Ask::post(doing, format!("v1/attempts/{attempt}/give-back"), give_back)).await?;
        Ok(())
    }

    /// Hands in a batch: `input` is sent as it comes, however long it is. The server keeps all of it or nothing.
    ///
    /// # Errors
    /// See [`Client::claim`]; also [`ClientError::Input`] when `input` fails. After [`ClientError::Away`] nothing was
    /// sent. After [`ClientError::Unknown`] or [`ClientError::BrokeOff`] the batch may exist: look at the list of batches
    /// before handing it in again. With a key that is not needed: the same input makes no second batch.
    pub async fn hand_in<S, E>(&self, hand_in: &HandIn, input: S) -> Result<Batch, ClientError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Cause> + 'static,
    {
        self.hand_in_by_key(hand_in, input).await.map(HandedIn::batch)
    }

    /// As [`Client::hand_in`]; says also whether the batch is new, or the one that the key stood for already.
    ///
    /// # Errors
    /// See [`Client::hand_in`].
    pub async fn hand_in_by_key<S, E>(&self, hand_in: &HandIn, input: S) -> Result<HandedIn, ClientError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Cause> + 'static,
    {
        let answer = self.send(&HandIn { dry_run: false, ..hand_in.clone() }, input).await?;
        let before = answer.response.status() == StatusCode::OK;
        let batch = answer.json().await?;
        Ok(if before { HandedIn::Before(batch) } else { HandedIn::New(batch) })
    }

    /// What a hand-in would come to; nothing is stored.
    ///
    /// # Errors
    /// See [`Client::hand_in`].
    pub async fn preview<S, E>(&self, hand_in: &HandIn, input: S) -> Result<Preview, ClientError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Cause> + 'static,
    {
        self.send(&HandIn { dry_run: true, ..hand_in.clone() }, input).await?.json().await
    }

    async fn send<S, E>(&self, hand_in: &HandIn, input: S) -> Result<Answer, ClientError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Cause> + 'static,
    {
        let doing = "handing in a batch";
        self.ask(Ask::get(doing, "healthz")).await?;
        let Some((_, server)) = self.0.servers.in_turn().next() else { return Err(ClientError::NoServer) };
        let (upload, progress) = Upload::new(input);
        let kind = match hand_in.format {
            Some(InputFormat::Jsonl) => "application/jsonl",
            Some(InputFormat::Csv) | None => "text/csv",
        };
        let request = self
            .0
            .http
            .post(at(server, "v1/batches"))
            .query(hand_in)
            .query(&hand_in.tags.iter().map(|tag| ("tag", tag)).collect::<Vec<_>>())
            .header(reqwest::header::CONTENT_TYPE, kind)
            .body(reqwest::Body::wrap_stream(upload));
        match send_watched(request, &progress, self.0.timeouts.silence + writes_keys(hand_in)).await {
            Ok(response) => Answer::new(doing, server, response, self.0.timeouts).accept().await,
            Err(cause) => Err(match progress.source_failed() {
                Some(cause) => ClientError::Input { doing: doing.to_owned(), cause },
                None => ClientError::Unknown { doing: doing.to_owned(), server: name(server), cause },
            }),
        }
    }

    /// Every batch, newest first.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn batches(&self) -> Result<Vec<Batch>, ClientError> {
        self.ask(Ask::get("listing the batches", "v1/batches").long()).await?.json().await
    }

    /// One batch and how far it is.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn batch(&self, batch: BatchId) -> Result<Batch, ClientError> {
        self.ask(Ask::get(format!("looking at batch {batch}"), format!("v1/batches/{batch}"))).await?.json().await
    }

    /// The jobs of a batch, in input order.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn jobs(&self, batch: BatchId) -> Result<Vec<Job>, ClientError> {
        let doing = format!("listing the jobs of batch {batch}");
        self.ask(Ask::get(doing, format!("v1/batches/{batch}/jobs")).long()).await?.json().await
    }

    /// The results of a batch as CSV, in input order, as they stand now.
    ///
    /// # Errors
    /// See [`Client::claim`]; reading the stream can fail too.
    pub async fn results(&self, batch: BatchId) -> Result<Download, ClientError> {
        let doing = format!("fetching the results of batch {batch}");
        self.ask(Ask::get(doing, format!("v1/batches/{batch}/results"))).await.map(Download::new)
    }

    /// Some results of a batch in the form asked for, in input order, as they stand now.
    ///
    /// # Errors
    /// See [`Client::results`].
    pub async fn results_as(&self, batch: BatchId, query: ResultsQuery) -> Result<Download, ClientError> {
        let doing = format!("fetching the results of batch {batch}");
        let format = match query.format {
            ResultsFormat::Csv => "csv",
            ResultsFormat::Jsonl => "jsonl",
        };
        let only = match query.only {
            Only::All => "all",
            Only::Errors => "errors",
            Only::Unprocessed => "unprocessed",
        };
        let ask = Ask::get(doing, format!("v1/batches/{batch}/results")).query("format", format).query("only", only);
        self.ask(ask).await.map(Download::new)
    }

    /// A batch's receipt. The server reads all its results for it.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn receipt(&self, batch: BatchId) -> Result<BatchReceipt, ClientError> {
        let ask = Ask::get(format!("making the receipt of batch {batch}"), format!("v1/batches/{batch}/receipt"));
        self.ask(ask.server_waits(COUNTING)).await?.json().await
    }

    /// Tells the server how a worker is.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn report(&self, report: &Report) -> Result<(), ClientError> {
        self.ask(Ask::post("reporting to the job server", "v1/reports", report)).await?;
        Ok(())
    }

    /// Every worker the server knows.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn workers(&self) -> Result<Vec<Worker>, ClientError> {
        self.ask(Ask::get("listing the workers", "v1/workers").long()).await?.json().await
    }

    /// The grid in figures.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(Ask::get("asking for the status of the grid", "v1/status")).await?.json().await
    }

    /// The server's view of the stop flag: at once when it is another one than `seen`, else after `wait` at most.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn stop(&self, seen: &str, wait: Duration) -> Result<StopView, ClientError> {
        let ask = Ask::get("asking for the stop flag", "v1/stop").query("seen", seen);
        let ask = ask.query("wait_ms", wait.as_millis().to_string()).server_waits(wait);
        self.ask(ask).await?.json().await
    }

    pub(crate) async fn ask(&self, request: Ask) -> Result<Answer, ClientError> {
        ask(&self.0, request).await
    }
}

/// How long the server may be busy with keys that it makes itself.
fn writes_keys(hand_in: &HandIn) -> Duration {
    let keys = hand_in.from.zip(hand_in.to).map_or(0, |(from, to)| to.abs_diff(from));
    Duration::from_secs(keys / KEYS_PER_SECOND)
}

/// Sends a streamed request; gives up when the server neither takes a further piece nor answers for `silence`.
pub(crate) async fn send_watched(
    request: reqwest::RequestBuilder,
    progress: &Arc<Progress>,
    silence: Duration,
) -> Result<Response, Cause> {
    let mut sending = std::pin::pin!(request.send());
    let mut seen = progress.pieces();
    loop {
        match tokio::time::timeout(silence, &mut sending).await {
            Ok(sent) => return sent.map_err(|error| root_cause(&error)),
            Err(_) if progress.pieces() == seen && !progress.source_is_slow() => return Err(silent(silence)),
            Err(_) => seen = progress.pieces(),
        }
    }
}
