//! What queries keep between them, made before the first one asks: an estate of a million resources takes a while to be put in order.

use crate::Core;
use lestrade_findings::{Criteria, Effort, PageRequest, Sort, SortField, list};
use lestrade_model::Scope;

impl Core {
    /// Makes the orders of all sorts. What changes meanwhile waits for one of them at most.
    pub fn warm(&self) {
        let criteria = Criteria::default();
        for field in SortField::ALL {
            let world = self.world();
            let scopes: Vec<Scope> = world.scopes().cloned().collect();
            let sort = Sort { field, descending: true };
            let request = PageRequest {
                scopes: &scopes,
                criteria: &criteria,
                sort,
                limit: 1,
                token: None,
                now: self.now(),
                effort: Effort::default(),
            };
            if let Err(error) = list(&world, self, self.token_key(), &request) {
                tracing::warn!(%error, ?field, "an order cannot be made ahead");
            }
        }
    }
}
