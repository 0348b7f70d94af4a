//! What `nightshift-jobserver init` makes besides the certificate authority: the first admin token.

use nightshift_rules::access::judge_token;
use nightshift_store::Access;
use nightshift_wire::{Moment, NewToken, Role};

use crate::api::tokens::make_token;
use crate::refused::chain;

/// Who made the first token.
const BY: &str = "nightshift-jobserver init";

/// Why there is no first token.
#[derive(Debug, thiserror::Error)]
#[error("making the first admin token: {0}")]
pub struct SetupError(String);

/// The first admin token, made now; `None` when there is one that is good.
///
/// # Errors
/// When the store refuses.
pub async fn first_admin(store: &dyn Access, now: Moment) -> Result<Option<String>, SetupError> {
    let known = store.access_changes(0).await.map_err(|error| SetupError(chain(&error)))?.tokens;
    let here = std::net::IpAddr::from([127, 0, 0, 1]);
    let good = |token: &nightshift_wire::Token| {
        // One for another network is still somebody's.
        let anywhere = nightshift_wire::Token { network: None, ..token.clone() };
        token.role == Role::Admin && judge_token(&anywhere, here, now).is_ok()
    };
    if known.iter().any(|known| good(&known.token)) {
        return Ok(None);
    }
    // A name that was another's stays another's.
    let taken = |name: &str| known.iter().any(|known| known.token.name == name && known.token.role != Role::Admin);
    let name = (1..).map(|number| if number == 1 { "admin".to_owned() } else { format!("admin-{number}") });
    let name = name.into_iter().find(|name| !taken(name)).unwrap_or_default();
    let wanted = NewToken { name, role: Role::Admin, network: None, limit: None, expires_in_ms: None };
    match make_token(store, wanted, BY, now).await {
        Ok(made) => Ok(Some(made.token)),
        Err(refused) => Err(SetupError(refused.detail().to_owned())),
    }
}
