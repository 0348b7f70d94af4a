//! Every query about access, by name: one `.sql` file each, and no SQL anywhere else.

pub(super) const BATCHES_OF: &str = include_str!("batches_of.sql");
pub(super) const CHANGE: &str = include_str!("change.sql");
pub(super) const CHANGED_TOKENS: &str = include_str!("changed_tokens.sql");
pub(super) const CHANGED_WORKERS: &str = include_str!("changed_workers.sql");
pub(super) const COUNT_JOIN_RULE: &str = include_str!("count_join_rule.sql");
pub(super) const COUNT_TOKEN: &str = include_str!("count_token.sql");
pub(super) const DECIDE: &str = include_str!("decide.sql");
pub(super) const DELETE_JOIN_RULE: &str = include_str!("delete_join_rule.sql");
pub(super) const INSERT_JOIN_RULE: &str = include_str!("insert_join_rule.sql");
pub(super) const INSERT_TOKEN: &str = include_str!("insert_token.sql");
pub(super) const INSERT_WORKER: &str = include_str!("insert_worker.sql");
pub(super) const JOIN_RULES: &str = include_str!("join_rules.sql");
pub(super) const LAST_CHANGE: &str = include_str!("last_change.sql");
pub(super) const OWN_BATCH: &str = include_str!("own_batch.sql");
pub(super) const OWNER_OF_BATCH: &str = include_str!("owner_of_batch.sql");
pub(super) const OWNER_OF_JOB: &str = include_str!("owner_of_job.sql");
pub(super) const REPLACE_TOKEN: &str = include_str!("replace_token.sql");
pub(super) const REVOKE_TOKEN: &str = include_str!("revoke_token.sql");
pub(super) const TOKEN: &str = include_str!("token.sql");
pub(super) const TOKEN_OF_HASH: &str = include_str!("token_of_hash.sql");
pub(super) const TOKEN_USED: &str = include_str!("token_used.sql");
pub(super) const WORKER: &str = include_str!("worker.sql");
pub(super) const WORKER_OF_ATTEMPT: &str = include_str!("worker_of_attempt.sql");
