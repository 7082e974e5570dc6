//! The watching server's state as the API needs it.

use super::backend::{AggregateRow, Backend, BackendError};
use super::filters::suppressions;
use crate::core::{Draft, lock};
use crate::{Core, Retention, ServerError};
use lestrade_extract::Scanner;
use lestrade_findings::{
    Activity, Assessment, Criteria, Effort, GroupBy, InventorySource, Page, PageRequest, ResourceEntry, Sort, Suppression, World,
    aggregate, assess, end_of_life, list, scan, shown_otherwise,
};
use lestrade_matching::Statements;
use lestrade_model::{Hash, Inventory, PackedInventory, ResourceFacts, Scope, Timestamp};
use lestrade_report::{Intelligence, ScanReport};
use lestrade_store::{Document, Fan};
use lestrade_wire::inspector2::Error;
use std::path::Path;
use std::sync::Arc;

impl Backend for Core {
    fn now(&self) -> Timestamp {
        Self::now(self)
    }

    fn retention(&self) -> Retention {
        *lock(&self.retention)
    }

    fn list_findings(
        &self,
        scopes: &[Scope],
        criteria: &Criteria,
        sort: Sort,
        limit: usize,
        token: Option<&str>,
    ) -> Result<Page, BackendError> {
        let request = PageRequest { scopes, criteria, sort, limit, token, now: Self::now(self), effort: Effort::default() };
        Ok(list(&self.world(), self, self.token_key(), &request)?)
    }

    fn aggregate(&self, scopes: &[Scope], criteria: &Criteria, by: GroupBy) -> Result<Vec<AggregateRow>, BackendError> {
        let world = self.world();
        let groups = aggregate(&world, self, scopes, criteria, by, Self::now(self))?.into_iter();
        let row = |group: lestrade_findings::Group| {
            let resource = world.resource(group.resource)?.clone();
            Some(AggregateRow {
                key: group.key,
                resource,
                uses: world.uses(group.resource).to_vec(),
                resources: group.resources,
                vulnerability: group.vulnerability,
                counts: group.counts,
            })
        };
        Ok(groups.filter_map(row).collect())
    }

    fn resources(&self, scopes: &[Scope], visit: &mut dyn FnMut(&ResourceEntry, Activity<'_>)) -> Result<(), BackendError> {
        let world = self.world();
        let ids = scopes.iter().flat_map(|scope| world.resources_in(scope));
        ids.filter_map(|id| Some((world.resource(id)?, world.activity(id)))).for_each(|(entry, activity)| visit(entry, activity));
        Ok(())
    }

    fn scan_document(&self, scanner: &Scanner, path: &Path, name: &str) -> Result<Option<ScanReport>, BackendError> {
        let Some(index) = self.index() else { return Ok(None) };
        let inventory = PackedInventory::from(&self.read_document(scanner, path, name)?);
        let at = Self::now(self);
        let mut result = scan(&index, &inventory, &ResourceFacts::default(), &Statements::default())?;
        result.findings.extend(end_of_life(&index.manifest().lifecycles, &inventory, at));
        Ok(Some(ScanReport {
            target: name.to_owned(),
            kind: "sbom",
            inventory,
            result,
            intelligence: Intelligence::from(index.manifest()),
            expired: Vec::new(),
            at,
            source_date: Some(at),
        }))
    }

    fn inventory(&self, id: &Hash) -> Option<Arc<Inventory>> {
        InventorySource::inventory(self, id)
    }

    fn assessment(&self, id: &str) -> Result<Option<Arc<Assessment>>, BackendError> {
        let world = self.world();
        if let Some(known) = world.estate.vulnerability_id(id).and_then(|number| world.assessment(number)) {
            return Ok(Some(Arc::clone(known)));
        }
        drop(world);
        let Some(index) = self.index() else { return Ok(None) };
        let advisories = index.advisories_of(id)?.into_iter().map(|ordinal| index.advisory(ordinal)).collect::<Result<Vec<_>, _>>()?;
        let exploitation = index.exploitation(id)?;
        Ok((!advisories.is_empty()).then(|| Arc::new(assess(id, &advisories, exploitation.as_ref()))))
    }

    fn documents(&self, scope: &Scope, kind: &str) -> Result<Vec<Document>, BackendError> {
        Ok(self.store().documents(scope, kind)?)
    }

    fn put_document(&self, scope: &Scope, kind: &str, document: &Document) -> Result<(), BackendError> {
        Ok(self.store().put_document(scope, kind, document)?)
    }

    fn delete_document(&self, scope: &Scope, kind: &str, key: &str) -> Result<bool, BackendError> {
        Ok(self.store().delete_document(scope, kind, key)?)
    }

    fn set_suppressions(&self, scope: &Scope, rules: Vec<Suppression>) {
        if let Err(error) = self.suppress(scope, rules) {
            tracing::error!(%error, "what suppression rules show otherwise now could not be told");
        }
    }
}

impl Core {
    #[allow(clippy::unused_self, reason = "whose world it is")]
    fn put_rules(&self, world: &mut World, scope: &Scope, rules: Vec<Suppression>) {
        world.suppressions.retain(|rule| rule.scope != *scope);
        world.suppressions.extend(rules);
    }

    /// Puts rules in force, and tells of each finding that they show otherwise.
    fn suppress(&self, scope: &Scope, rules: Vec<Suppression>) -> Result<(), ServerError> {
        let mut guard = self.world_mut();
        let before = guard.suppressions.clone();
        self.put_rules(&mut guard, scope, rules);
        let moved = shown_otherwise(&guard, self, &before, self.now());
        let mut draft = Draft::new(self, &mut guard)?;
        for (vulnerability, resources) in moved {
            draft.tell(None, Fan::Vulnerability { vulnerability, resources });
        }
        draft.commit(self)
    }

    /// Has the rules of an account hold in every account, those of its home everywhere: it administers them.
    pub fn set_administrator(&self, home: &Scope) {
        self.world_mut().administrator = Some(home.clone());
    }

    /// Puts the suppression rules of some scopes in force, as their filters say: after the world was loaded or rebuilt.
    ///
    /// # Errors
    /// When the store fails, or holds a filter that cannot be read.
    pub fn enforce_suppressions(&self, scopes: &[Scope]) -> Result<(), Error> {
        for scope in scopes {
            // What they show otherwise was told when they were made.
            self.put_rules(&mut self.world_mut(), scope, suppressions(self, scope)?);
        }
        Ok(())
    }
}
