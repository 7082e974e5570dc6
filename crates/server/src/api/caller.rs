//! Who asks the native API: by the token of the state folder, or by a key that was given out.

use super::Api;
use crate::inspector2::Role;
use axum::http::HeaderMap;
use lestrade_findings::World;
use lestrade_model::Scope;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// What the rate of the state folder's token is counted under: no key that was given out is called so.
const OWNER: &str = "owner";

/// Somebody whose token is good.
#[derive(Clone)]
pub(crate) struct Caller {
    /// What his requests are counted under.
    pub(crate) key: Arc<str>,
    pub(crate) role: Role,
    /// Where what he writes belongs.
    pub(crate) scope: Scope,
    /// Whether he sees all accounts: he is of the server's own, which watches the others.
    pub(crate) whole: bool,
    /// Other accounts that he sees.
    pub(crate) members: Arc<[Scope]>,
}

impl Caller {
    /// Who shows these headers; none where their token is not good.
    pub(crate) fn of(api: &Api, headers: &HeaderMap) -> Option<Self> {
        let token = headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")?;
        let home = api.hub.home();
        if bool::from(token.as_bytes().ct_eq(&api.token)) {
            return Some(Self { key: OWNER.into(), role: Role::Administrator, scope: home.clone(), whole: true, members: Arc::default() });
        }
        let (id, principal) = api.front.bearer(token)?;
        let whole = principal.scope.partition == home.partition && principal.scope.account == home.account;
        let scope = if whole { home.clone() } else { principal.scope };
        Some(Self { key: id.into(), role: principal.role, scope, whole, members: principal.members.into() })
    }

    /// Whether he sees what is of a scope: all, or what is of his accounts in whatever region.
    pub(crate) fn sees(&self, scope: &Scope) -> bool {
        let is_of = |own: &Scope| scope.partition == own.partition && scope.account == own.account;
        self.whole || is_of(&self.scope) || self.members.iter().any(is_of)
    }

    /// The scopes with resources that he sees.
    pub(crate) fn scopes(&self, world: &World) -> Vec<Scope> {
        world.scopes().filter(|scope| self.sees(scope)).cloned().collect()
    }
}
