//! The verbs about access: who am I, tokens, workers that join, the rules by which they are let in.

use nightshift_wire::{
    Enrolment, EnrolmentDecision, JoinRequest, JoinRule, Joined, Me, NewJoinRule, NewToken, Token, TokenMade,
};

use crate::ask::Ask;
use crate::{Client, ClientError};

/// As every verb: the server is away, breaks off or refuses; see [`ClientError`].
impl Client {
    /// Whose token this client brings, and its role.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn me(&self) -> Result<Me, ClientError> {
        self.ask(Ask::get("asking whose token this is", "v1/me")).await?.json().await
    }

    /// Every token, by name.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn tokens(&self) -> Result<Vec<Token>, ClientError> {
        self.ask(Ask::get("listing the tokens", "v1/tokens")).await?.json().await
    }

    /// Makes a token, which nobody can show again.
    ///
    /// # Errors
    /// See [`Client::claim`]. After [`ClientError::BrokeOff`] it may exist: revoke it and make another.
    pub async fn make_token(&self, token: &NewToken) -> Result<TokenMade, ClientError> {
        self.ask(Ask::post("making a token", "v1/tokens", token)).await?.json().await
    }

    /// Revokes a token. Repeating it is safe.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn revoke_token(&self, name: &str) -> Result<(), ClientError> {
        let doing = format!("revoking the token {name}");
        self.ask(Ask::delete(doing, format!("v1/tokens/{}", part(name)))).await?;
        Ok(())
    }

    /// Asks to join, or where the request stands.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn join(&self, request: &JoinRequest) -> Result<Joined, ClientError> {
        self.ask(Ask::post("asking to join", "v1/join", request)).await?.json().await
    }

    /// Every worker that asked to join.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn enrolments(&self) -> Result<Vec<Enrolment>, ClientError> {
        self.ask(Ask::get("listing the workers that asked to join", "v1/enrolments")).await?.json().await
    }

    /// Decides about a worker that asked to join. Repeating it is safe.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn decide(&self, worker: &str, decision: &EnrolmentDecision) -> Result<Enrolment, ClientError> {
        let doing = format!("deciding about worker {worker}");
        self.ask(Ask::post(doing, format!("v1/enrolments/{}", part(worker)), decision)).await?.json().await
    }

    /// The rules by which requests to join are approved without a person.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn join_rules(&self) -> Result<Vec<JoinRule>, ClientError> {
        self.ask(Ask::get("listing the join rules", "v1/join-rules")).await?.json().await
    }

    /// Makes such a rule.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn make_join_rule(&self, rule: &NewJoinRule) -> Result<JoinRule, ClientError> {
        self.ask(Ask::post("making a join rule", "v1/join-rules", rule)).await?.json().await
    }

    /// Removes such a rule.
    ///
    /// # Errors
    /// See [`Client::claim`].
    pub async fn remove_join_rule(&self, name: &str) -> Result<(), ClientError> {
        let doing = format!("removing the join rule {name}");
        self.ask(Ask::delete(doing, format!("v1/join-rules/{}", part(name)))).await?;
        Ok(())
    }
}

/// A name as one part of a path, whatever somebody typed.
fn part(name: &str) -> String {
    let mut part = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'@' => part.push(char::from(byte)),
            // A part of dots alone would be another path.
            b'.' if name.bytes().any(|other| other != b'.') => part.push('.'),
            byte => part.push_str(&format!("%{byte:02X}")),
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn a_name_stays_one_part_of_the_path() {
        assert_eq!(part("anna.b@example-1_x"), "anna.b@example-1_x");
        assert_eq!(part("../status?x#y"), "..%2Fstatus%3Fx%23y");
        assert_eq!(part("é"), "%C3%A9");
    }
}
