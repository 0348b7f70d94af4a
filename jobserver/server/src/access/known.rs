//! Everybody this server knows, in memory: whoever asks is looked up here, and not in the store.
//!
//! What changes in the store is read as changes: at once after a change made through this server, every few seconds for
//! those made through others, and when somebody comes whom it does not know. When the store cannot say for a while whether
//! anything changed, nobody is believed any more: what was revoked has to be over within a minute.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use nightshift_store::{Access, AccessChanges, StoreError};
use nightshift_wire::{Enrolment, Moment, Token};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::clock::deadline;

/// What was read from the store is believed for so long.
const BELIEVED: Duration = Duration::from_secs(50);

/// What somebody is recognised by: the SHA-256 of a token or credential, in hex.
type Hash = String;

/// Somebody who may ask, as far as their role reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// A person's or program's token.
    Token(Arc<Token>),
    /// An enrolled worker.
    Worker(Arc<Enrolment>),
}

/// Why somebody cannot be looked up.
#[derive(Debug)]
pub(crate) enum Unknown {
    /// There is nobody of that token.
    Nobody,
    /// The store cannot say whether it still holds.
    StoreAway,
}

/// Everybody this server knows.
pub(crate) struct Directory {
    store: Arc<dyn Access>,
    people: RwLock<People>,
    /// One reads at a time; who waits for it is served by the next reading.
    reading: Mutex<()>,
}

#[derive(Default)]
struct People {
    /// The last change that was read.
    last: i64,
    by_hash: HashMap<Hash, Known>,
    hash_of_token: HashMap<String, Hash>,
    believed_until: Option<Instant>,
    used: HashMap<String, Moment>,
}

impl Directory {
    pub(crate) fn new(store: Arc<dyn Access>) -> Directory {
        Directory { store, people: RwLock::default(), reading: Mutex::default() }
    }

    /// Who has this token or credential.
    pub(crate) async fn find(&self, secret: &str) -> Result<Known, Unknown> {
        self.find_hash(&format!("{:x}", Sha256::digest(secret))).await
    }

    /// Whose the token or credential of this hash is.
    pub(crate) async fn find_hash(&self, hash: &str) -> Result<Known, Unknown> {
        if let Some(known) = self.look(hash)? {
            return Ok(known);
        }
        // Perhaps another server let them in just now.
        self.refresh().await.map_err(|_| Unknown::StoreAway)?;
        self.look(hash)?.ok_or(Unknown::Nobody)
    }

    /// What is known now of somebody who was found before; `None` when nothing is believed any more.
    pub(crate) fn again(&self, secret_hash: &str) -> Option<Known> {
        self.look(secret_hash).ok().flatten()
    }

    fn look(&self, hash: &str) -> Result<Option<Known>, Unknown> {
        let people = self.read();
        match people.believed_until {
            None => return Ok(None),
            Some(until) if until < deadline(Duration::ZERO) => return Err(Unknown::StoreAway),
            Some(_) => {}
        }
        let found = people.by_hash.get_key_value(hash);
        Ok(found.filter(|(kept, _)| bool::from(kept.as_bytes().ct_eq(hash.as_bytes()))).map(|(_, known)| known.clone()))
    }

    /// Every worker that asked to join, as it stands now.
    pub(crate) async fn workers(&self) -> Result<Vec<Arc<Enrolment>>, StoreError> {
        self.refresh().await?;
        let people = self.read();
        let workers = people.by_hash.values().filter_map(|known| match known {
            Known::Worker(worker) => Some(Arc::clone(worker)),
            Known::Token(_) => None,
        });
        Ok(workers.collect())
    }

    /// Reads what changed in the store.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let _turn = self.reading.lock().await;
        let believed_until = deadline(BELIEVED);
        let last = self.read().last;
        let mut changes = self.store.access_changes(last).await?;
        let went_back = changes.last < last;
        if went_back {
            // An older store was put in its place: everything is read anew.
            changes = self.store.access_changes(0).await?;
        }
        let mut people = self.write();
        if went_back {
            people.by_hash.clear();
            people.hash_of_token.clear();
        }
        people.take(changes);
        people.believed_until = Some(believed_until);
        Ok(())
    }

    /// Notes that a token was used.
    pub(crate) fn used(&self, name: &str, now: Moment) {
        let noted = self.read().used.get(name).is_some_and(|used| *used >= now - 1_000);
        if !noted {
            self.write().used.insert(name.to_owned(), now);
        }
    }

    /// Writes down when tokens were used.
    pub(crate) async fn write_uses(&self) -> Result<(), StoreError> {
        let used: Vec<(String, Moment)> = self.write().used.drain().collect();
        if used.is_empty() { Ok(()) } else { self.store.tokens_used(&used).await }
    }

    fn read(&self) -> RwLockReadGuard<'_, People> {
        self.people.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, People> {
        self.people.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl People {
    fn take(&mut self, changes: AccessChanges) {
        for known in changes.tokens {
            let name = known.token.name.clone();
            // A token that took another's place: the other is nobody's any more.
            if let Some(before) = self.hash_of_token.insert(name, known.hash.clone()) {
                self.by_hash.remove(&before);
            }
            self.by_hash.insert(known.hash, Known::Token(Arc::new(known.token)));
        }
        for known in changes.workers {
            self.by_hash.insert(known.credential, Known::Worker(Arc::new(known.enrolment)));
        }
        self.last = changes.last;
    }
}
