//! The verbs of the API as methods, and the hand-in, which is a stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use nightshift_wire::{
    AttemptId, Batch, BatchId, Claim, ClaimRequest, GiveBack, HandIn, Heartbeat, Job, Lease, Receipt, Records, Report,
    Status, Submission, Worker,
};
use reqwest::Response;

use crate::ClientError;
use crate::access::Access;
use crate::ask::{Answer, Ask, Timeouts, ask, at, silent};
use crate::error::{Cause, root_cause};
use crate::servers::{Pinned, Servers, name};
use crate::stream::{Download, Progress, Upload};

/// A client of the job servers in a list. Cheap to make; nothing is connected before the first request.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    servers: Servers,
    timeouts: Timeouts,
}

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
        Ok(Client { http, servers, timeouts })
    }

    /// Asks for a job; `None` when none came up within the request's `wait_ms`.
    ///
    /// # Errors
    /// As every verb: the server is away, breaks off or refuses; see [`ClientError`].
    pub async fn claim(&self, request: &ClaimRequest) -> Result<Option<Claim>, ClientError> {
        let wait = Duration::from_millis(request.wait_ms);
        let answer = self.ask(Ask::post("claiming a job", "v1/claims", request).server_waits(wait)).await?;
        if answer.is_empty() { Ok(None) } else { answer.json().await.map(Some) }
    }

    /// The records of an attempt's job, only the columns asked for and in that order.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn records(&self, attempt: AttemptId, secret: &str, columns: &[String]) -> Result<Records, ClientError> {
        let ask =
            Ask::get(format!("fetching the records of attempt {attempt}"), format!("v1/attempts/{attempt}/records"))
                .query("secret", secret);
        let ask = columns.iter().fold(ask, |ask, column| ask.query("column", column));
        self.ask(ask).await?.json().await
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
        let doing = format!("handing in the results of attempt {attempt}");
        self.ask(Ask::post(doing, format!("v1/attempts/{attempt}/results"), submission)).await?.json().await
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

    /// Hands in a batch: `csv` is sent as it comes, however long it is. The server keeps all of it or nothing.
    ///
    /// # Errors
    /// See [`Client::claim`]; also [`ClientError::Input`] when `csv` fails. After [`ClientError::Away`] nothing was sent.
    /// After [`ClientError::Unknown`] or [`ClientError::BrokeOff`] the batch may exist: look at the list of batches
    /// before handing it in again.
    pub async fn hand_in<S, E>(&self, hand_in: &HandIn, csv: S) -> Result<Batch, ClientError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Cause> + 'static,
    {
        let doing = "handing in a batch";
        self.ask(Ask::get(doing, "healthz")).await?;
        let Some((_, server)) = self.servers.in_turn().next() else { return Err(ClientError::NoServer) };
        let (upload, progress) = Upload::new(csv);
        let request = self
            .http
            .post(at(server, "v1/batches"))
            .query(hand_in)
            .header(reqwest::header::CONTENT_TYPE, "text/csv")
            .body(reqwest::Body::wrap_stream(upload));
        match send_watched(request, &progress, self.timeouts.silence).await {
            Ok(response) => Answer::new(doing, server, response, self.timeouts).accept().await?.json().await,
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
        self.ask(Ask::get("listing the batches", "v1/batches")).await?.json().await
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
        self.ask(Ask::get(doing, format!("v1/batches/{batch}/jobs"))).await?.json().await
    }

    /// The results of a batch as CSV, in input order, as they stand now.
    ///
    /// # Errors
    /// See [`Client::claim`]; reading the stream can fail too.
    pub async fn results(&self, batch: BatchId) -> Result<Download, ClientError> {
        let doing = format!("fetching the results of batch {batch}");
        self.ask(Ask::get(doing, format!("v1/batches/{batch}/results"))).await.map(Download::new)
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
        self.ask(Ask::get("listing the workers", "v1/workers")).await?.json().await
    }

    /// The grid in figures.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(Ask::get("asking for the status of the grid", "v1/status")).await?.json().await
    }

    async fn ask(&self, request: Ask) -> Result<Answer, ClientError> {
        ask(&self.http, &self.servers, self.timeouts, request).await
    }
}

/// Sends a streamed request; gives up when the server neither takes a further piece nor answers for `silence`.
async fn send_watched(
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
