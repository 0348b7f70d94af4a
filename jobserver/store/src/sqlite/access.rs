//! Access in SQLite: what changes goes through the writer, what is looked up through readers.
//!
//! Every change takes the next number first, so that the rows it writes carry it.

use std::net::IpAddr;

use async_trait::async_trait;
use nightshift_rules::enrolment::{self, Join};
use nightshift_wire::{AttemptId, BatchId, Enrolment, JobId, JoinRequest, JoinRule, Moment};
use rusqlite::{Connection, OptionalExtension, Params, Row, named_params};
use sha2::{Digest, Sha256};

use super::{SqliteStore, columns::Column, failure::Failure};
use crate::{
    Refusal, StoreError,
    access::{
        Access, AccessChanges, AccessRefusal, Decided, KnownToken, KnownWorker, enrol, may_replace, read_rule,
        read_token, read_worker,
    },
};

mod sql;

#[async_trait]
impl Access for SqliteStore {
    async fn access_changes(&self, after: i64) -> Result<AccessChanges, StoreError> {
        let read = self.readers.call(move |connection| changes(connection, after)).await;
        read.map_err(|failure| failure.of("reading who may ask"))
    }

    async fn add_token(&self, token: KnownToken, now: Moment) -> Result<(), StoreError> {
        let added = self.writer.change(move |connection| add_token(connection, &token, now)).await;
        added.map_err(|failure| failure.of("making a token"))
    }

    async fn revoke_token(&self, name: &str, now: Moment) -> Result<(), StoreError> {
        let name = name.to_owned();
        let revoked = self.writer.change(move |connection| {
            change(connection)?;
            let revoked = named_params! { ":name": name, ":now": now };
            if connection.prepare_cached(sql::REVOKE_TOKEN)?.execute(revoked)? == 0 {
                token(connection, sql::TOKEN, named_params! { ":name": name })?
                    .ok_or_else(|| refused(AccessRefusal::NoSuchToken(name.clone())))?;
            }
            Ok(())
        });
        revoked.await.map_err(|failure| failure.of("revoking a token"))
    }

    async fn tokens_used(&self, used: &[(String, Moment)]) -> Result<(), StoreError> {
        let used = used.to_vec();
        let noted = self.writer.change(move |connection| {
            let mut note = connection.prepare_cached(sql::TOKEN_USED)?;
            for (name, moment) in &used {
                note.execute(named_params! { ":name": name, ":moment": moment })?;
            }
            Ok(())
        });
        noted.await.map_err(|failure| failure.of("noting when tokens were used"))
    }

    async fn join(&self, request: &JoinRequest, from: IpAddr, now: Moment) -> Result<Enrolment, StoreError> {
        let request = request.clone();
        let joined = self.writer.change(move |connection| join(connection, &request, from, now)).await;
        joined.map_err(|failure| failure.of("taking a request to join"))
    }

    async fn decide(&self, worker: &str, decided: &Decided, now: Moment) -> Result<Enrolment, StoreError> {
        let (worker, decided) = (worker.to_owned(), decided.clone());
        let after = self.writer.change(move |connection| decide(connection, &worker, &decided, now)).await;
        after.map_err(|failure| failure.of("deciding about a worker"))
    }

    async fn join_rules(&self) -> Result<Vec<JoinRule>, StoreError> {
        let rules = self.readers.call(join_rules).await;
        rules.map_err(|failure| failure.of("listing join rules"))
    }

    async fn add_join_rule(&self, rule: &JoinRule) -> Result<(), StoreError> {
        let rule = rule.clone();
        let added = self.writer.change(move |connection| {
            let new = named_params! {
                ":name": rule.name,
                ":network": rule.network,
                ":limit": rule.limit,
                ":expires_at": rule.expires_at,
                ":now": rule.created_at,
                ":by": rule.created_by,
            };
            match connection.prepare_cached(sql::INSERT_JOIN_RULE)?.execute(new)? {
                0 => Err(refused(AccessRefusal::NameTaken(rule.name.clone()))),
                _ => Ok(()),
            }
        });
        added.await.map_err(|failure| failure.of("making a join rule"))
    }

    async fn remove_join_rule(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        let removed = self.writer.change(move |connection| {
            match connection.prepare_cached(sql::DELETE_JOIN_RULE)?.execute(named_params! { ":name": name })? {
                0 => Err(refused(AccessRefusal::NoSuchRule(name.clone()))),
                _ => Ok(()),
            }
        });
        removed.await.map_err(|failure| failure.of("removing a join rule"))
    }

    async fn own_batch(&self, batch: BatchId, owner: &str) -> Result<(), StoreError> {
        let owner = owner.to_owned();
        let noted = self.writer.change(move |connection| {
            let line = named_params! { ":batch": batch, ":owner": owner };
            connection.prepare_cached(sql::OWN_BATCH)?.execute(line)?;
            Ok(())
        });
        noted.await.map_err(|failure| failure.of("noting whose a batch is"))
    }

    async fn owner_of_batch(&self, batch: BatchId) -> Result<Option<String>, StoreError> {
        let found = self
            .readers
            .call(move |connection| text(connection, sql::OWNER_OF_BATCH, named_params! { ":batch": batch }));
        found.await.map_err(|failure| failure.of("looking whose a batch is"))
    }

    async fn owner_of_job(&self, job: JobId) -> Result<Option<String>, StoreError> {
        let found =
            self.readers.call(move |connection| text(connection, sql::OWNER_OF_JOB, named_params! { ":job": job }));
        found.await.map_err(|failure| failure.of("looking whose a job is"))
    }

    async fn batches_of(&self, owner: &str, limit: u32) -> Result<Vec<BatchId>, StoreError> {
        let owner = owner.to_owned();
        let found = self.readers.call(move |connection| {
            let mut query = connection.prepare_cached(sql::BATCHES_OF)?;
            let rows = query.query_map(named_params! { ":owner": owner, ":limit": limit }, |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        found.await.map_err(|failure| failure.of("listing an owner's batches"))
    }

    async fn worker_of_attempt(&self, attempt: AttemptId) -> Result<Option<String>, StoreError> {
        let found = self
            .readers
            .call(move |connection| text(connection, sql::WORKER_OF_ATTEMPT, named_params! { ":attempt": attempt }));
        found.await.map_err(|failure| failure.of("looking whose an attempt is"))
    }
}

fn changes(connection: &Connection, after: i64) -> Result<AccessChanges, Failure> {
    let last = connection.prepare_cached(sql::LAST_CHANGE)?.query_row([], |row| row.get(0))?;
    let since = named_params! { ":after": after };
    let mut query = connection.prepare_cached(sql::CHANGED_TOKENS)?;
    let tokens = query.query_map(since, token_of)?.collect::<Result<_, _>>()?;
    let mut query = connection.prepare_cached(sql::CHANGED_WORKERS)?;
    let workers = query.query_map(since, worker_of)?.collect::<Result<_, _>>()?;
    Ok(AccessChanges { last, tokens, workers })
}

/// Takes the next number; the rows written after it in this step carry it.
fn change(connection: &Connection) -> Result<(), Failure> {
    connection.prepare_cached(sql::CHANGE)?.execute([])?;
    Ok(())
}

fn add_token(connection: &Connection, new: &KnownToken, now: Moment) -> Result<(), Failure> {
    let name = &new.token.name;
    let before = token(connection, sql::TOKEN, named_params! { ":name": name })?;
    change(connection)?;
    let replaced = match before {
        Some(before) if may_replace(&before.token, &new.token, now) => true,
        Some(_) => return Err(refused(AccessRefusal::NameTaken(name.clone()))),
        None => false,
    };
    let KnownToken { token: new, hash } = new;
    if replaced {
        connection.prepare_cached(sql::REPLACE_TOKEN)?.execute(named_params! {
            ":name": new.name, ":hash": hash, ":network": new.network, ":limit": new.limit,
            ":now": now, ":by": new.created_by, ":expires_at": new.expires_at,
        })?;
    } else {
        connection.prepare_cached(sql::INSERT_TOKEN)?.execute(named_params! {
            ":name": new.name, ":role": Column(new.role), ":hash": hash, ":network": new.network, ":limit": new.limit,
            ":now": now, ":by": new.created_by, ":expires_at": new.expires_at,
        })?;
    }
    Ok(())
}

fn join(connection: &Connection, request: &JoinRequest, from: IpAddr, now: Moment) -> Result<Enrolment, Failure> {
    let before = worker(connection, &request.worker)?;
    let hash = request.token.as_ref().map(|token| format!("{:x}", Sha256::digest(token)));
    let token = token(connection, sql::TOKEN_OF_HASH, named_params! { ":hash": hash })?;
    let rules = join_rules(connection)?;
    let known = before.as_ref().map(|before| (&before.enrolment, &*before.credential));
    let verdict = enrolment::judge_join(request, from, known, token.as_ref().map(|token| &token.token), &rules, now);
    let verdict = verdict.map_err(|refusal| refused(AccessRefusal::NoJoin(refusal)))?;
    let token = match (before, token) {
        (Some(before), _) => return Ok(before.enrolment),
        (None, Some(token)) => token.token.name,
        (None, None) => return Err(Failure::Contradiction("a worker that joins without a token".to_owned())),
    };
    change(connection)?;
    connection.prepare_cached(sql::COUNT_TOKEN)?.execute(named_params! { ":name": token })?;
    if let Join::ApprovedBy(rule) = &verdict {
        connection.prepare_cached(sql::COUNT_JOIN_RULE)?.execute(named_params! { ":name": rule })?;
    }
    let new = enrol(request, from, &token, &verdict, now);
    connection.prepare_cached(sql::INSERT_WORKER)?.execute(named_params! {
        ":worker": new.worker, ":name": new.name, ":host": new.host, ":machine": new.machine,
        ":credential": request.credential, ":address": new.address, ":asked_at": new.asked_at,
        ":join_token": new.join_token, ":state": Column(new.state), ":reason": new.reason,
        ":decided_at": new.decided_at, ":decided_by": new.decided_by,
    })?;
    Ok(new)
}

fn decide(connection: &Connection, name: &str, decided: &Decided, now: Moment) -> Result<Enrolment, Failure> {
    let before = worker(connection, name)?.ok_or_else(|| refused(AccessRefusal::NoSuchWorker(name.to_owned())))?;
    let before = before.enrolment;
    let state = enrolment::after(before.state, decided.decision)
        .ok_or_else(|| refused(AccessRefusal::settled(name, before.state)))?;
    change(connection)?;
    connection.prepare_cached(sql::DECIDE)?.execute(named_params! {
        ":worker": name, ":state": Column(state), ":name": decided.name.as_ref().unwrap_or(&before.name),
        ":reason": decided.reason, ":now": now, ":by": decided.by,
    })?;
    let after = worker(connection, name)?;
    Ok(after.ok_or_else(|| Failure::Contradiction(format!("worker {name} is gone")))?.enrolment)
}

fn token(connection: &Connection, sql: &str, by: impl Params) -> Result<Option<KnownToken>, Failure> {
    Ok(connection.prepare_cached(sql)?.query_row(by, token_of).optional()?)
}

fn worker(connection: &Connection, worker: &str) -> Result<Option<KnownWorker>, Failure> {
    let by = named_params! { ":worker": worker };
    Ok(connection.prepare_cached(sql::WORKER)?.query_row(by, worker_of).optional()?)
}

fn text(connection: &Connection, sql: &str, by: impl Params) -> Result<Option<String>, Failure> {
    Ok(connection.prepare_cached(sql)?.query_row(by, |row| row.get(0)).optional()?)
}

fn join_rules(connection: &Connection) -> Result<Vec<JoinRule>, Failure> {
    let mut query = connection.prepare_cached(sql::JOIN_RULES)?;
    let rules = query.query_map([], |row| Ok(read_rule!(row)))?;
    Ok(rules.collect::<Result<_, _>>()?)
}

fn token_of(row: &Row<'_>) -> rusqlite::Result<KnownToken> {
    let Column(role) = row.get("role")?;
    Ok(read_token!(row, role))
}

fn worker_of(row: &Row<'_>) -> rusqlite::Result<KnownWorker> {
    let Column(state) = row.get("state")?;
    Ok(read_worker!(row, state))
}

fn refused(refusal: AccessRefusal) -> Failure {
    Failure::Refused(Refusal::Access(refusal))
}
