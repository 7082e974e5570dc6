//! What the API needs of the rest of the server.

use crate::Retention;
use lestrade_extract::{ScanError, Scanner};
use lestrade_findings::{Activity, Assessment, Counts, Criteria, GroupBy, Page, QueryError, ResourceEntry, Sort, Suppression};
use lestrade_matching::IndexError;
use lestrade_model::{Hash, ImageUse, Inventory, Scope, Timestamp};
use lestrade_report::ScanReport;
use lestrade_store::{Document, StoreError};
use std::path::Path;
use std::sync::Arc;

/// Why the server behind the API could not answer.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The query cannot be answered: its page token is no good.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The advisory index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// What was sent is no bill of materials, and why.
    #[error("{0}")]
    Document(String),
    /// A bill of materials could not be read, for reasons of ours.
    #[error(transparent)]
    Scan(#[from] ScanError),
}

/// A group of findings and its counts.
#[derive(Clone, Debug)]
pub struct AggregateRow {
    /// What its findings share.
    pub key: String,
    /// A resource of it.
    pub resource: ResourceEntry,
    /// Where that runs, if it is an image.
    pub uses: Vec<ImageUse>,
    /// How many resources it has.
    pub resources: u64,
    /// The vulnerability of its findings, where they are grouped by title.
    pub vulnerability: Option<String>,
    /// Its counts.
    pub counts: Counts,
}

/// The estate and the API's own documents. Called off the async threads, so it may block.
///
/// Every method takes the scopes that the caller may see, and answers nothing of any other.
pub trait Backend: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// How long images are watched where no client has set it.
    fn retention(&self) -> Retention;

    /// A page of findings.
    ///
    /// # Errors
    /// When the token is not one of ours.
    fn list_findings(
        &self,
        scopes: &[Scope],
        criteria: &Criteria,
        sort: Sort,
        limit: usize,
        token: Option<&str>,
    ) -> Result<Page, BackendError>;

    /// Active findings that meet the criteria, counted in groups.
    ///
    /// # Errors
    /// When the estate cannot be read.
    fn aggregate(&self, scopes: &[Scope], criteria: &Criteria, by: GroupBy) -> Result<Vec<AggregateRow>, BackendError>;

    /// Shows every resource, and where it runs if it is an image, in any order.
    ///
    /// # Errors
    /// When the estate cannot be read.
    fn resources(&self, scopes: &[Scope], visit: &mut dyn FnMut(&ResourceEntry, Activity<'_>)) -> Result<(), BackendError>;

    /// What is vulnerable in a bill of materials, by the intelligence in force; none when there is none. Nothing of it is kept. It
    /// is called by `name`.
    ///
    /// # Errors
    /// When it is no bill of materials, or cannot be read.
    fn scan_document(&self, scanner: &Scanner, path: &Path, name: &str) -> Result<Option<ScanReport>, BackendError>;

    /// An inventory by its hash; none when it cannot be read.
    fn inventory(&self, id: &Hash) -> Option<Arc<Inventory>>;

    /// What is known of a vulnerability, found somewhere or not.
    ///
    /// # Errors
    /// When it cannot be read.
    fn assessment(&self, id: &str) -> Result<Option<Arc<Assessment>>, BackendError>;

    /// The documents of a kind.
    ///
    /// # Errors
    /// When the store fails.
    fn documents(&self, scope: &Scope, kind: &str) -> Result<Vec<Document>, BackendError>;

    /// Puts a document in place of the one with its key, if any.
    ///
    /// # Errors
    /// When the store fails.
    fn put_document(&self, scope: &Scope, kind: &str, document: &Document) -> Result<(), BackendError>;

    /// Removes a document; answers whether there was one.
    ///
    /// # Errors
    /// When the store fails.
    fn delete_document(&self, scope: &Scope, kind: &str, key: &str) -> Result<bool, BackendError>;

    /// Puts these suppression rules in force for a scope, in place of all others. Called after its filters have changed.
    fn set_suppressions(&self, scope: &Scope, rules: Vec<Suppression>);
}
