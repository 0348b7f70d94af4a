//! Which worker is let in: what a request to join leads to, and whether an enrolled worker is where it was let in.
//!
//! A worker makes itself an identity and a credential and asks with the credential's hash; an approval makes the credential
//! good, so nothing secret ever travels back. A join token can only ask: a person approves, or a rule that a person made,
//! with a network, a number and an end. Revoked and refused workers stay so; a worker that was copied is not the one that
//! was let in.

use std::net::IpAddr;

use nightshift_wire::{Enrolment, EnrolmentState, JoinRequest, JoinRule, Moment, Role, Token};

use crate::access::{TokenFault, judge_token};
use crate::network::Network;

/// What a request to join leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Join {
    /// A new request that waits for a person.
    Wait,
    /// A new request that a rule approves; holds the rule's name.
    ApprovedBy(String),
    /// The worker has asked before: nothing changes, it hears where its request stands.
    AsBefore,
}

/// Why a worker may not even ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoJoin {
    /// It brought no join token, or one this server does not know, or a token of another role.
    #[error(
        "it brings no join token that this server knows; `join_token` of its worker.toml is from `nightshift token create NAME --role join`"
    )]
    NoToken,
    /// The join token is not good.
    #[error("its join token {name}: {fault}; make another with `nightshift token create NAME --role join`")]
    Token {
        /// The token's name.
        name: String,
        /// What is wrong with it.
        fault: TokenFault,
    },
    /// As many as may have asked with the token.
    #[error(
        "its join token {name} is used up: {limit} workers have asked with it; make another with `nightshift token create NAME --role join`"
    )]
    UsedUp {
        /// The token's name.
        name: String,
        /// So many workers may ask.
        limit: u32,
    },
    /// The identity is another machine's.
    #[error("its identity is another machine's: it must make itself a new one and ask again")]
    EnrolAgain,
}

/// Judges a request to join that comes from `from` now. `before` is what is known of the same identity, with the hash of
/// its credential; `token` the join token it brought, when there is such a token.
pub fn judge_join(
    request: &JoinRequest,
    from: IpAddr,
    before: Option<(&Enrolment, &str)>,
    token: Option<&Token>,
    rules: &[JoinRule],
    now: Moment,
) -> Result<Join, NoJoin> {
    if let Some((enrolment, credential)) = before {
        let same = credential == request.credential && enrolment.machine == request.machine;
        return if same { Ok(Join::AsBefore) } else { Err(NoJoin::EnrolAgain) };
    }
    let token = token.filter(|token| token.role == Role::Join).ok_or(NoJoin::NoToken)?;
    judge_token(token, from, now).map_err(|fault| NoJoin::Token { name: token.name.clone(), fault })?;
    if let Some(limit) = token.limit.filter(|limit| token.uses >= *limit) {
        return Err(NoJoin::UsedUp { name: token.name.clone(), limit });
    }
    Ok(rules
        .iter()
        .find(|rule| approves(rule, from, now))
        .map_or(Join::Wait, |rule| Join::ApprovedBy(rule.name.clone())))
}

/// May this request be approved by this rule? In its network, before its end, as long as it has approved fewer than it may.
pub fn approves(rule: &JoinRule, from: IpAddr, now: Moment) -> bool {
    now < rule.expires_at
        && rule.approved < rule.limit
        && rule.network.parse::<Network>().is_ok_and(|network| network.contains(from))
}

/// Why an enrolled worker's request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWork {
    /// Nobody approved it yet.
    #[error("nobody has approved it yet; approve it with `nightshift worker approve {0}`")]
    Pending(String),
    /// It was refused or revoked; the text is why.
    #[error("it is not let in: {0}")]
    Revoked(String),
    /// The credential is used on another machine than the one that was let in.
    #[error(
        "its identity is used on a machine other than the one that was let in: it must make itself a new one and ask again"
    )]
    EnrolAgain,
}

/// Is this credential used where it was let in? `machine` is the fingerprint the request brings.
pub fn judge_use(enrolment: &Enrolment, machine: Option<&str>) -> Result<(), NoWork> {
    match enrolment.state {
        EnrolmentState::Pending => Err(NoWork::Pending(enrolment.worker.clone())),
        EnrolmentState::Refused | EnrolmentState::Revoked => Err(NoWork::Revoked(enrolment.reason.clone())),
        EnrolmentState::Approved if machine == Some(&*enrolment.machine) => Ok(()),
        EnrolmentState::Approved => Err(NoWork::EnrolAgain),
    }
}

/// What a person may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Let it in.
    Approve,
    /// Do not let it in.
    Refuse,
    /// Do not let it in any more.
    Revoke,
}

/// Every legal decision: the state after it; `None` for one that cannot be made. A worker that is not let in any more
/// comes back only as a new one.
pub fn after(state: EnrolmentState, decision: Decision) -> Option<EnrolmentState> {
    use EnrolmentState::{Approved, Pending, Refused, Revoked};
    match (state, decision) {
        (Pending | Refused | Approved, Decision::Approve) => Some(Approved),
        (Pending | Refused, Decision::Refuse) => Some(Refused),
        (Pending | Approved | Refused | Revoked, Decision::Revoke) => Some(Revoked),
        (Approved | Revoked, Decision::Refuse) | (Revoked, Decision::Approve) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "10.1.2.3";

    fn from(address: &str) -> IpAddr {
        address.parse().expect("an address")
    }

    fn request() -> JoinRequest {
        JoinRequest {
            worker: "w-1".to_owned(),
            host: "pc-17".to_owned(),
            machine: "m".to_owned(),
            credential: "c".to_owned(),
            token: Some("ns_join_1".to_owned()),
        }
    }

    fn token() -> Token {
        Token {
            name: "image".to_owned(),
            role: Role::Join,
            network: Some("10.0.0.0/8".to_owned()),
            limit: Some(2),
            uses: 1,
            created_at: 0,
            created_by: "first".to_owned(),
            expires_at: Some(100),
            revoked_at: None,
            last_used: None,
        }
    }

    fn rule() -> JoinRule {
        JoinRule {
            name: "second floor".to_owned(),
            network: "10.1.0.0/16".to_owned(),
            limit: 3,
            approved: 2,
            expires_at: 50,
            created_at: 0,
            created_by: "first".to_owned(),
        }
    }

    fn enrolment(state: EnrolmentState) -> Enrolment {
        Enrolment {
            worker: "w-1".to_owned(),
            name: String::new(),
            host: "pc-17".to_owned(),
            machine: "m".to_owned(),
            address: HERE.to_owned(),
            asked_at: 0,
            join_token: "image".to_owned(),
            state,
            reason: "it was stolen".to_owned(),
            decided_at: None,
            decided_by: None,
        }
    }

    fn judge(token: Option<&Token>, rules: &[JoinRule], address: &str, now: Moment) -> Result<Join, NoJoin> {
        judge_join(&request(), from(address), None, token, rules, now)
    }

    #[test]
    fn a_join_token_can_only_ask_and_a_person_decides() {
        assert_eq!(judge(Some(&token()), &[], HERE, 10), Ok(Join::Wait));
    }

    #[test]
    fn a_rule_approves_in_its_network_until_its_end_and_not_more_than_it_may() {
        assert_eq!(judge(Some(&token()), &[rule()], HERE, 10), Ok(Join::ApprovedBy("second floor".to_owned())));
        assert_eq!(judge(Some(&token()), &[rule()], "10.2.0.1", 10), Ok(Join::Wait));
        assert_eq!(judge(Some(&token()), &[rule()], HERE, 50), Ok(Join::Wait));
        let full = JoinRule { approved: 3, ..rule() };
        assert_eq!(judge(Some(&token()), &[full], HERE, 10), Ok(Join::Wait));
    }

    #[test]
    fn a_join_token_that_is_over_used_up_from_elsewhere_or_of_another_role_asks_nothing() {
        assert_eq!(judge(None, &[rule()], HERE, 10), Err(NoJoin::NoToken));
        let viewer = Token { role: Role::Viewer, ..token() };
        assert_eq!(judge(Some(&viewer), &[rule()], HERE, 10), Err(NoJoin::NoToken));
        let fault = |fault| Err(NoJoin::Token { name: "image".to_owned(), fault });
        assert_eq!(judge(Some(&token()), &[rule()], HERE, 100), fault(TokenFault::Expired));
        assert_eq!(judge(Some(&token()), &[rule()], "192.0.2.1", 10), fault(TokenFault::WrongNetwork));
        let revoked = Token { revoked_at: Some(5), ..token() };
        assert_eq!(judge(Some(&revoked), &[rule()], HERE, 10), fault(TokenFault::Revoked));
        let used_up = Token { uses: 2, ..token() };
        let name = "image".to_owned();
        assert_eq!(judge(Some(&used_up), &[rule()], HERE, 10), Err(NoJoin::UsedUp { name, limit: 2 }));
    }

    #[test]
    fn a_worker_that_asks_again_needs_no_token_and_changes_nothing() {
        let pending = enrolment(EnrolmentState::Pending);
        let again = judge_join(&request(), from(HERE), Some((&pending, "c")), None, &[rule()], 1000);
        assert_eq!(again, Ok(Join::AsBefore));
    }

    #[test]
    fn an_identity_that_asks_from_another_machine_or_with_another_credential_must_be_made_anew() {
        let approved = enrolment(EnrolmentState::Approved);
        let other_secret = judge_join(&request(), from(HERE), Some((&approved, "d")), Some(&token()), &[], 10);
        assert_eq!(other_secret, Err(NoJoin::EnrolAgain));
        let moved = Enrolment { machine: "n".to_owned(), ..approved };
        let other_machine = judge_join(&request(), from(HERE), Some((&moved, "c")), Some(&token()), &[], 10);
        assert_eq!(other_machine, Err(NoJoin::EnrolAgain));
    }

    #[test]
    fn a_credential_is_good_on_the_machine_it_was_let_in_on_alone() {
        let approved = enrolment(EnrolmentState::Approved);
        assert_eq!(judge_use(&approved, Some("m")), Ok(()));
        assert_eq!(judge_use(&approved, Some("n")), Err(NoWork::EnrolAgain));
        assert_eq!(judge_use(&approved, None), Err(NoWork::EnrolAgain));
        let pending = enrolment(EnrolmentState::Pending);
        assert_eq!(judge_use(&pending, Some("m")), Err(NoWork::Pending("w-1".to_owned())));
        for gone in [EnrolmentState::Revoked, EnrolmentState::Refused] {
            let why = Err(NoWork::Revoked("it was stolen".to_owned()));
            assert_eq!(judge_use(&enrolment(gone), Some("m")), why);
        }
    }

    #[test]
    fn a_revoked_worker_comes_back_only_as_a_new_one() {
        for decision in [Decision::Approve, Decision::Refuse] {
            assert_eq!(after(EnrolmentState::Revoked, decision), None);
        }
        assert_eq!(after(EnrolmentState::Refused, Decision::Approve), Some(EnrolmentState::Approved));
    }
}
