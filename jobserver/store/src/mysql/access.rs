//! Access in MySQL and MariaDB, twin of `sqlite/access.rs`.
//!
//! Every change takes the next number first, and with it a lock that makes the changes of all servers follow one another:
//! what is judged is read after that. A round after a commit in doubt finds what the one before did, and repeats nothing.

use std::net::IpAddr;

use async_trait::async_trait;
use mysql_async::{Params, params};
use nightshift_rules::enrolment::{self, Join};
use nightshift_wire::{AttemptId, BatchId, Enrolment, JobId, JoinRequest, JoinRule, Moment};
use sha2::{Digest, Sha256};

use super::{
    MysqlStore,
    connection::{Fields, Tx, in_rounds},
    failure::Failure,
};
use crate::{
    Refusal, StoreError,
    access::{
        Access, AccessChanges, AccessRefusal, Decided, KnownToken, KnownWorker, enrol, may_replace, read_rule,
        read_token, read_worker,
    },
    words::Word as _,
};

mod sql;

#[async_trait]
impl Access for MysqlStore {
    async fn access_changes(&self, after: i64) -> Result<AccessChanges, StoreError> {
        let read = in_rounds!(self.readers, |tx, _in_doubt| changes(tx, after));
        read.map_err(|failure| failure.of("reading who may ask"))
    }

    async fn add_token(&self, token: KnownToken, now: Moment) -> Result<(), StoreError> {
        let added = in_rounds!(self.writers, |tx, _in_doubt| add_token(tx, &token, now));
        added.map_err(|failure| failure.of("making a token"))
    }

    async fn revoke_token(&self, name: &str, now: Moment) -> Result<(), StoreError> {
        let revoked = in_rounds!(self.writers, |tx, _in_doubt| async {
            change(tx).await?;
            if tx.change(sql::REVOKE_TOKEN, params! { "name" => name, "now" => now }).await? == 0 {
                token(tx, sql::TOKEN, params! { "name" => name })
                    .await?
                    .ok_or_else(|| refused(AccessRefusal::NoSuchToken(name.to_owned())))?;
            }
            Ok::<_, Failure>(())
        });
        revoked.map_err(|failure| failure.of("revoking a token"))
    }

    async fn tokens_used(&self, used: &[(String, Moment)]) -> Result<(), StoreError> {
        let noted = in_rounds!(self.writers, |tx, _in_doubt| async {
            for (name, moment) in used {
                tx.change(sql::TOKEN_USED, params! { "name" => name, "moment" => moment }).await?;
            }
            Ok::<_, Failure>(())
        });
        noted.map_err(|failure| failure.of("noting when tokens were used"))
    }

    async fn join(&self, request: &JoinRequest, from: IpAddr, now: Moment) -> Result<Enrolment, StoreError> {
        let joined = in_rounds!(self.writers, |tx, _in_doubt| join(tx, request, from, now));
        joined.map_err(|failure| failure.of("taking a request to join"))
    }

    async fn decide(&self, worker: &str, decided: &Decided, now: Moment) -> Result<Enrolment, StoreError> {
        let after = in_rounds!(self.writers, |tx, _in_doubt| decide(tx, worker, decided, now));
        after.map_err(|failure| failure.of("deciding about a worker"))
    }

    async fn join_rules(&self) -> Result<Vec<JoinRule>, StoreError> {
        let rules = in_rounds!(self.readers, |tx, _in_doubt| join_rules(tx));
        rules.map_err(|failure| failure.of("listing join rules"))
    }

    async fn add_join_rule(&self, rule: &JoinRule) -> Result<(), StoreError> {
        let added = in_rounds!(self.writers, |tx, in_doubt| async {
            let new = params! {
                "name" => &rule.name,
                "network" => &rule.network,
                "limit" => rule.limit,
                "expires_at" => rule.expires_at,
                "now" => rule.created_at,
                "by" => &rule.created_by,
            };
            if tx.change(sql::INSERT_JOIN_RULE, new).await? == 0 {
                let ours = in_doubt && join_rules(tx).await?.contains(rule);
                if !ours {
                    return Err(refused(AccessRefusal::NameTaken(rule.name.clone())));
                }
            }
            Ok(())
        });
        added.map_err(|failure| failure.of("making a join rule"))
    }

    async fn remove_join_rule(&self, name: &str) -> Result<(), StoreError> {
        let removed = in_rounds!(self.writers, |tx, in_doubt| async {
            match tx.change(sql::DELETE_JOIN_RULE, params! { "name" => name }).await? {
                0 if !in_doubt => Err(refused(AccessRefusal::NoSuchRule(name.to_owned()))),
                _ => Ok(()),
            }
        });
        removed.map_err(|failure| failure.of("removing a join rule"))
    }

    async fn own_batch(&self, batch: BatchId, owner: &str) -> Result<(), StoreError> {
        let noted = in_rounds!(self.writers, |tx, _in_doubt| {
            tx.change(sql::OWN_BATCH, params! { "batch" => batch, "owner" => owner })
        });
        noted.map(drop).map_err(|failure| failure.of("noting whose a batch is"))
    }

    async fn owner_of_batch(&self, batch: BatchId) -> Result<Option<String>, StoreError> {
        let by = || params! { "batch" => batch };
        let found = in_rounds!(self.readers, |tx, _in_doubt| text(tx, sql::OWNER_OF_BATCH, by(), "owner"));
        found.map_err(|failure| failure.of("looking whose a batch is"))
    }

    async fn owner_of_job(&self, job: JobId) -> Result<Option<String>, StoreError> {
        let by = || params! { "job" => job };
        let found = in_rounds!(self.readers, |tx, _in_doubt| text(tx, sql::OWNER_OF_JOB, by(), "owner"));
        found.map_err(|failure| failure.of("looking whose a job is"))
    }

    async fn batches_of(&self, owner: &str, limit: u32) -> Result<Vec<BatchId>, StoreError> {
        let found = in_rounds!(self.readers, |tx, _in_doubt| async {
            let rows = tx.all(sql::BATCHES_OF, params! { "owner" => owner, "limit" => limit }).await?;
            rows.into_iter().map(|mut row| row.get("batch_id")).collect::<Result<Vec<BatchId>, Failure>>()
        });
        found.map_err(|failure| failure.of("listing an owner's batches"))
    }

    async fn worker_of_attempt(&self, attempt: AttemptId) -> Result<Option<String>, StoreError> {
        let by = || params! { "attempt" => attempt };
        let found = in_rounds!(self.readers, |tx, _in_doubt| text(tx, sql::WORKER_OF_ATTEMPT, by(), "worker"));
        found.map_err(|failure| failure.of("looking whose an attempt is"))
    }
}

async fn changes(tx: &mut Tx, after: i64) -> Result<AccessChanges, Failure> {
    let last = tx.first(sql::LAST_CHANGE, ()).await?;
    let last = last.ok_or_else(|| Failure::Contradiction("no number of changes".to_owned()))?.get("number")?;
    let tokens = tx.all(sql::CHANGED_TOKENS, params! { "after" => after }).await?;
    let workers = tx.all(sql::CHANGED_WORKERS, params! { "after" => after }).await?;
    Ok(AccessChanges {
        last,
        tokens: tokens.into_iter().map(token_of).collect::<Result<_, _>>()?,
        workers: workers.into_iter().map(worker_of).collect::<Result<_, _>>()?,
    })
}

/// Takes the next number; the rows written after it in this transaction carry it.
async fn change(tx: &mut Tx) -> Result<(), Failure> {
    tx.change(sql::CHANGE, ()).await.map(drop)
}

async fn add_token(tx: &mut Tx, new: &KnownToken, now: Moment) -> Result<(), Failure> {
    change(tx).await?;
    let KnownToken { token: new, hash } = new;
    let before = token(tx, sql::TOKEN, params! { "name" => &new.name }).await?;
    let values = params! {
        "name" => &new.name, "hash" => hash, "network" => &new.network, "limit" => new.limit,
        "now" => now, "by" => &new.created_by, "expires_at" => new.expires_at,
    };
    match before {
        // Written by a round whose end was in doubt.
        Some(before) if before.hash == *hash => Ok(()),
        Some(before) if may_replace(&before.token, new, now) => tx.change(sql::REPLACE_TOKEN, values).await.map(drop),
        Some(_) => Err(refused(AccessRefusal::NameTaken(new.name.clone()))),
        None => {
            let values = params! {
                "name" => &new.name, "role" => new.role.word(), "hash" => hash, "network" => &new.network,
                "limit" => new.limit, "now" => now, "by" => &new.created_by, "expires_at" => new.expires_at,
            };
            tx.change(sql::INSERT_TOKEN, values).await.map(drop)
        }
    }
}

async fn join(tx: &mut Tx, request: &JoinRequest, from: IpAddr, now: Moment) -> Result<Enrolment, Failure> {
    change(tx).await?;
    let before = worker(tx, &request.worker).await?;
    let hash = request.token.as_ref().map(|token| format!("{:x}", Sha256::digest(token)));
    let token = token(tx, sql::TOKEN_OF_HASH, params! { "hash" => hash }).await?;
    let rules = join_rules(tx).await?;
    let known = before.as_ref().map(|before| (&before.enrolment, &*before.credential));
    let verdict = enrolment::judge_join(request, from, known, token.as_ref().map(|token| &token.token), &rules, now);
    let verdict = verdict.map_err(|refusal| refused(AccessRefusal::NoJoin(refusal)))?;
    let token = match (before, token) {
        (Some(before), _) => return Ok(before.enrolment),
        (None, Some(token)) => token.token.name,
        (None, None) => return Err(Failure::Contradiction("a worker that joins without a token".to_owned())),
    };
    tx.change(sql::COUNT_TOKEN, params! { "name" => &token }).await?;
    if let Join::ApprovedBy(rule) = &verdict {
        tx.change(sql::COUNT_JOIN_RULE, params! { "name" => rule }).await?;
    }
    let new = enrol(request, from, &token, &verdict, now);
    let values = params! {
        "worker" => &new.worker, "name" => &new.name, "host" => &new.host, "machine" => &new.machine,
        "credential" => &request.credential, "address" => &new.address, "asked_at" => new.asked_at,
        "join_token" => &new.join_token, "state" => new.state.word(), "reason" => &new.reason,
        "decided_at" => new.decided_at, "decided_by" => &new.decided_by,
    };
    tx.change(sql::INSERT_WORKER, values).await?;
    Ok(new)
}

async fn decide(tx: &mut Tx, name: &str, decided: &Decided, now: Moment) -> Result<Enrolment, Failure> {
    change(tx).await?;
    let before = worker(tx, name).await?.ok_or_else(|| refused(AccessRefusal::NoSuchWorker(name.to_owned())))?;
    let before = before.enrolment;
    let state = enrolment::after(before.state, decided.decision)
        .ok_or_else(|| refused(AccessRefusal::settled(name, before.state)))?;
    let values = params! {
        "worker" => name, "state" => state.word(), "name" => decided.name.as_ref().unwrap_or(&before.name),
        "reason" => &decided.reason, "now" => now, "by" => &decided.by,
    };
    tx.change(sql::DECIDE, values).await?;
    let after = worker(tx, name).await?;
    Ok(after.ok_or_else(|| Failure::Contradiction(format!("worker {name} is gone")))?.enrolment)
}

async fn token(tx: &mut Tx, sql: &str, by: Params) -> Result<Option<KnownToken>, Failure> {
    tx.first(sql, by).await?.map(token_of).transpose()
}

async fn worker(tx: &mut Tx, worker: &str) -> Result<Option<KnownWorker>, Failure> {
    tx.first(sql::WORKER, params! { "worker" => worker }).await?.map(worker_of).transpose()
}

async fn text(tx: &mut Tx, sql: &str, by: Params, column: &str) -> Result<Option<String>, Failure> {
    tx.first(sql, by).await?.map(|mut row| row.get(column)).transpose()
}

async fn join_rules(tx: &mut Tx) -> Result<Vec<JoinRule>, Failure> {
    tx.all(sql::JOIN_RULES, ()).await?.into_iter().map(|mut row| Ok(read_rule!(row))).collect()
}

fn token_of(mut row: Fields) -> Result<KnownToken, Failure> {
    let role = row.word("role")?;
    Ok(read_token!(row, role))
}

fn worker_of(mut row: Fields) -> Result<KnownWorker, Failure> {
    let state = row.word("state")?;
    Ok(read_worker!(row, state))
}

fn refused(refusal: AccessRefusal) -> Failure {
    Failure::Refused(Refusal::Access(refusal))
}
