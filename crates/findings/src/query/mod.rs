//! Listing findings: criteria, a sort, a page.
//!
//! Criteria compile to a bitmap of resources, a bitmap of vulnerabilities and a residual that is asked of each pair
//! ([`plan`]). A page is walked in the order of the sort, from the side that the sort belongs to or along the log, and left
//! when it is full or when it has been work enough ([`walk`]). [`crate::oracle`] says what the answer must be.

mod plan;
mod sort;
mod walk;

pub(crate) use plan::{Hidden, Plan};
pub(crate) use sort::KeptOrders;
pub use sort::{Sort, SortField};

use crate::view::Pair;
use crate::{Criteria, FindingView, InventorySource, TokenError, TokenKey, World, token::PageToken};
use lestrade_model::{Hash, Scope, Timestamp};
use sort::Place;

/// Up to this many pairs are sorted by what only a pair has, rather than found by walking the log.
pub const FEW_PAIRS: u64 = 20_000;
/// How many vulnerabilities and resources are looked at for one page; a pair counts for several.
pub const WORK: u64 = 400_000;

/// How long a page token is good for: one day.
const TOKEN_LIFE_MS: i64 = 86_400_000;

/// How a page is worked out. What all pages hold together does not depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Up to how many pairs are sorted rather than walked, and resources asked one by one.
    pub few: u64,
    /// How much is looked at for a page; a page that ends before it is full has a token to go on. At least 1.
    pub work: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { few: FEW_PAIRS, work: WORK }
    }
}

/// Which page.
#[derive(Clone, Debug)]
pub struct PageRequest<'a> {
    /// Whose findings: each of these scopes.
    pub scopes: &'a [Scope],
    /// Which findings.
    pub criteria: &'a Criteria,
    /// In which order.
    pub sort: Sort,
    /// How many at most; at least 1.
    pub limit: usize,
    /// Where to go on, from the page before.
    pub token: Option<&'a str>,
    /// The present instant.
    pub now: Timestamp,
    /// How hard to try.
    pub effort: Effort,
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its findings.
    pub findings: Vec<FindingView>,
    /// Where to go on, if there may be more. A page of a question that few findings answer can be short, even empty, and go on:
    /// that is never wrong, and never slow.
    pub next: Option<String>,
}

/// Why a listing fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The page token is no good.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// More inventories would have to be read than anybody waits for.
    #[error("{0} inventories would have to be read to count by layer: name repositories, images or functions")]
    Inventories(usize),
}

/// Lists findings.
///
/// # Errors
/// When the page token is not one of ours, has expired, or belongs to another query.
pub fn list(world: &World, inventories: &dyn InventorySource, key: &TokenKey, request: &PageRequest<'_>) -> Result<Page, QueryError> {
    let query = query_hash(request);
    let (position, after) = match request.token {
        None => (world.log.head(), None),
        Some(text) => {
            let token: PageToken<Place> = key.open(text, &query, request.now)?;
            (token.position, Some(token.last))
        }
    };
    let plan = Plan::compile(world, inventories, request.scopes, request.criteria, position, request.now);
    let walked = plan.page(request.sort, after.as_ref(), request.limit, request.effort);
    let next = match walked.last {
        Some(last) => Some(key.seal(&PageToken { position, last, query, expires: request.now.plus_millis(TOKEN_LIFE_MS) })?),
        None => None,
    };
    Ok(Page { findings: walked.pairs.iter().map(Pair::view).collect(), next })
}

/// What a token is bound to: everything of the query but the page.
fn query_hash(request: &PageRequest<'_>) -> Hash {
    let parts = postcard::to_stdvec(&(request.scopes, request.criteria, request.sort)).unwrap_or_default();
    Hash::of(&parts)
}
