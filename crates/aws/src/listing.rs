//! What came of a list, and whether it is all.

use crate::Error;

/// What is in it exists. Only where nothing is missing does it follow that what is not in it does not.
#[derive(Debug)]
pub struct Listing<T> {
    /// What was seen.
    pub items: Vec<T>,
    /// Why there may be more.
    pub missing: Option<Error>,
}

impl<T> Listing<T> {
    /// The same list, each item made into something else; those of which nothing can be made are told.
    pub(crate) fn map<U>(self, what: &'static str, make: impl FnMut(T) -> Option<U>) -> Listing<U> {
        let before = self.items.len();
        let items: Vec<U> = self.items.into_iter().filter_map(make).collect();
        let lost = before - items.len();
        let missing = self.missing.or_else(|| (lost > 0).then_some(Error::Nameless { count: lost, what }));
        Listing { items, missing }
    }
}
