//! What arrives becomes records: pieces are unpacked, their bytes counted and digested, their rows read. Or nothing
//! arrives, and the records are a range of keys.

use axum::body::Bytes;
use axum::http::StatusCode;
use futures_util::{Stream, StreamExt};
use nightshift_wire::{InputFormat, code};
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::csv::intake::{Intake, Problems, Unfit, Wanted};
use crate::csv::unpack::{Spoilt, Unpacker};
use crate::refused::Refused;

/// So many keys become records in one step.
const KEYS_AT_ONCE: usize = 1_000;

/// Records of one field each, as they come in.
type Records = Vec<Vec<String>>;

/// A range of keys.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    pub(super) column: String,
    /// The next key; none when all were given.
    pub(super) next: Option<i64>,
    /// The last one.
    pub(super) to: i64,
}

impl Keys {
    fn records(&mut self) -> Option<Records> {
        let mut records = Records::with_capacity(KEYS_AT_ONCE);
        while let Some(key) = self.next.filter(|_| records.len() < KEYS_AT_ONCE) {
            records.push(vec![key.to_string()]);
            self.next = key.checked_add(1).filter(|next| *next <= self.to);
        }
        (!records.is_empty()).then_some(records)
    }
}

/// Why an input is not read any further.
pub(super) enum Halt {
    /// It makes no batch.
    Unfit(Unfit),
    /// It cannot be read at all.
    Refused(Refused),
}

impl Halt {
    /// As its owner hears it.
    pub(super) fn refused(self, doing: &str) -> Refused {
        match self {
            Halt::Refused(refused) => refused,
            Halt::Unfit(unfit) => {
                Refused::new(StatusCode::UNPROCESSABLE_ENTITY, code::BAD_CSV, format!("{doing}: {unfit}"))
            }
        }
    }
}

/// The most that one batch may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) records: u64,
    /// Bytes, unpacked.
    pub(super) bytes: u64,
}

/// What an input was made of.
pub(super) struct MadeOf {
    /// SHA-256 of its bytes, unpacked.
    pub(super) digest: String,
    pub(super) bytes: u64,
}

/// An input on its way in.
pub(super) struct Incoming {
    doing: String,
    unpacker: Unpacker,
    intake: Intake,
    keys: Option<Keys>,
    most: Most,
    digest: Sha256,
    records: u64,
    bytes: u64,
    ended: bool,
}

impl Incoming {
    pub(super) fn new(
        doing: String,
        wanted: Wanted,
        (format, gzip): (InputFormat, bool),
        keys: Option<Keys>,
        most: Most,
    ) -> Incoming {
        Incoming {
            doing,
            unpacker: Unpacker::new(gzip),
            intake: Intake::new(wanted, format),
            keys,
            most,
            digest: Sha256::new(),
            records: 0,
            bytes: 0,
            ended: false,
        }
    }

    /// One that notes lines which are wrong and goes on behind them.
    pub(super) fn that_goes_on(self) -> Incoming {
        Incoming { intake: self.intake.that_goes_on(), ..self }
    }

    pub(super) fn columns(&self) -> &[String] {
        self.intake.columns()
    }

    /// Records and unpacked bytes that arrived so far.
    pub(super) fn arrived(&self) -> (u64, u64) {
        (self.records, self.bytes)
    }

    /// The lines that were passed over because something is wrong with them.
    pub(super) fn problems(&mut self) -> Problems {
        self.intake.problems()
    }

    /// The next records; `None` after the last. A batch of more records than it may have is refused before they are stored.
    pub(super) async fn records<S, E>(&mut self, app: &App, pieces: &mut S) -> Result<Option<Records>, Halt>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let records = self.read(app, pieces).await?;
        let count = records.as_ref().map_or(0, |records| records.len() as u64);
        self.records += count;
        self.unpacker.records(count).map_err(|spoilt| Halt::Refused(self.spoilt(spoilt)))?;
        if self.records > self.most.records {
            let most = self.most.records;
            return Err(Halt::Refused(self.too_much(&format!("{most} records"), "max_records")));
        }
        Ok(records)
    }

    async fn read<S, E>(&mut self, app: &App, pieces: &mut S) -> Result<Option<Records>, Halt>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        if self.keys.is_some() {
            return self.keyed(app, pieces).await;
        }
        match self.bytes(app, pieces).await.map_err(Halt::Refused)? {
            Some(bytes) => self.intake.feed(&bytes).map(Some).map_err(Halt::Unfit),
            None if self.ended => Ok(None),
            None => {
                self.ended = true;
                self.intake.finish().map(Some).map_err(Halt::Unfit)
            }
        }
    }

    async fn keyed<S, E>(&mut self, app: &App, pieces: &mut S) -> Result<Option<Records>, Halt>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        if !self.ended {
            self.ended = true;
            if self.bytes(app, pieces).await.map_err(Halt::Refused)?.is_some() {
                let detail = format!("{}: the records are keys of a table; send no body with them", self.doing);
                return Err(Halt::Refused(Refused::bad_request(detail)));
            }
            let column = self.keys.as_ref().map(|keys| keys.column.clone()).unwrap_or_default();
            self.intake.only_column(&column).map_err(Halt::Unfit)?;
        }
        Ok(self.keys.as_mut().and_then(Keys::records))
    }

    /// Reads all of it and keeps nothing.
    pub(super) async fn measure<S, E>(mut self, app: &App, pieces: &mut S) -> Result<MadeOf, Refused>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        while self.bytes(app, pieces).await?.is_some() {}
        Ok(self.made_of())
    }

    /// What was read so far.
    pub(super) fn made_of(&self) -> MadeOf {
        let digest = self.digest.clone().finalize();
        MadeOf { digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(), bytes: self.bytes }
    }

    /// The next unpacked bytes; `None` at the end.
    async fn bytes<S, E>(&mut self, app: &App, pieces: &mut S) -> Result<Option<Vec<u8>>, Refused>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let bytes = loop {
            if let Some(bytes) = self.unpacker.unpacked().map_err(|spoilt| self.spoilt(spoilt))? {
                break Some(bytes);
            }
            match self.piece(app, pieces).await? {
                Some(piece) => self.unpacker.feed(&piece),
                None => break self.unpacker.finish().map_err(|spoilt| self.spoilt(spoilt))?,
            }
        };
        if let Some(bytes) = &bytes {
            self.digest.update(bytes);
            self.bytes += bytes.len() as u64;
            if self.bytes > self.most.bytes {
                return Err(self.too_much(&format!("{} bytes", self.most.bytes), "max_input"));
            }
        }
        Ok(bytes)
    }

    /// A batch that is larger than it may be.
    fn too_much(&self, most: &str, key: &str) -> Refused {
        let detail = format!(
            "{}: it is more than the {most} a batch may have here ({key} in jobserver.toml); nothing of it is kept, hand \
             it in as several batches",
            self.doing
        );
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE, detail)
    }

    fn spoilt(&self, spoilt: Spoilt) -> Refused {
        let detail = format!("{}: {spoilt}", self.doing);
        match spoilt {
            Spoilt::Damaged => Refused::new(StatusCode::UNPROCESSABLE_ENTITY, code::BAD_CSV, detail),
            Spoilt::Bomb => Refused::new(StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE, detail),
        }
    }

    async fn piece<S, E>(&self, app: &App, pieces: &mut S) -> Result<Option<Bytes>, Refused>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let again = |what: &str| format!("{}: {what}; nothing of it is kept, hand it in again", self.doing);
        let next = tokio::select! {
            () = app.stopping.cancelled() => return Err(Refused::away(again("the job server is ending"))),
            next = tokio::time::timeout(app.limits.silence, pieces.next()) => next,
        };
        match next {
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(_))) => Err(Refused::bad_request(again("the CSV broke off"))),
            Err(_) => {
                Err(Refused::new(StatusCode::REQUEST_TIMEOUT, code::BAD_REQUEST, again("the CSV stopped arriving")))
            }
        }
    }
}
