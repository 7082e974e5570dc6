//! Who may ask.

use lestrade_model::Scope;
use lestrade_wire::sigv4::SecretKey;
use std::collections::HashMap;

/// What a holder of a key may do; each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Read.
    Viewer,
    /// Keep and change filters, so suppress findings; tag; have reports written.
    Triager,
    /// Change what is scanned and how.
    Operator,
    /// Change who belongs together.
    Administrator,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Triager, Self::Operator, Self::Administrator];

    /// The role as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Triager => "triager",
            Self::Operator => "operator",
            Self::Administrator => "admin",
        }
    }

    /// The role that is written so, if any.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// The holder of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// A name, for messages.
    pub name: String,
    /// Whose keys these are: requests are about this scope, and must be signed for its region.
    pub scope: Scope,
    /// Other scopes whose findings the holder sees: those of member accounts.
    pub members: Vec<Scope>,
    /// What the holder may do.
    pub role: Role,
}

impl Principal {
    /// Every scope that the holder sees.
    #[must_use]
    pub fn scopes(&self) -> Vec<Scope> {
        std::iter::once(&self.scope).chain(&self.members).cloned().collect()
    }

    /// The scope of an account, if the holder sees it.
    #[must_use]
    pub fn scope_of(&self, account: &str) -> Option<&Scope> {
        std::iter::once(&self.scope).chain(&self.members).find(|scope| scope.account == account)
    }

    /// Whether the holder sees an account, in whatever region.
    #[must_use]
    pub fn sees(&self, scope: &Scope) -> bool {
        self.scope.partition == scope.partition && self.scope_of(&scope.account).is_some()
    }

    /// The ARN of the holder.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:{}:iam::{}:user/{}", self.scope.partition, self.scope.account, self.name)
    }
}

/// A key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its secret.
    pub secret: SecretKey,
    /// Its holder.
    pub principal: Principal,
}

/// The keys that were given out. Answers from memory, at the most after a look whether a file changed: it is asked before anything
/// else of a request is read.
pub trait KeyStore: Send + Sync + 'static {
    /// The key with this id.
    fn find(&self, access_key: &str) -> Option<Key>;
}

impl KeyStore for HashMap<String, Key> {
    fn find(&self, access_key: &str) -> Option<Key> {
        self.get(access_key).cloned()
    }
}

/// The keys of the first, then those of the second.
impl<A: KeyStore, B: KeyStore> KeyStore for (A, B) {
    fn find(&self, access_key: &str) -> Option<Key> {
        self.0.find(access_key).or_else(|| self.1.find(access_key))
    }
}
