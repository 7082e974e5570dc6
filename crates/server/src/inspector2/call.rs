//! One request, as the operations see it.

use super::backend::Backend;
use super::exports::Exports;
use super::failure::Failure;
use super::keys::Principal;
use super::pages::PageKey;
use lestrade_model::{Hash, Scope, Timestamp};
use lestrade_store::Document;
use serde::{Serialize, de::DeserializeOwned};

/// The key of a document of which a scope has one.
pub(super) const ONLY: &str = "only";

/// Who asks whom, and when.
pub(super) struct Call<'a> {
    pub(super) backend: &'a dyn Backend,
    pub(super) principal: &'a Principal,
    pub(super) pages: &'a PageKey,
    pub(super) now: Timestamp,
    /// Where reports are written; none when they are not.
    pub(super) exports: Option<&'a Exports>,
}

/// How a listing is to be cut.
pub(super) struct Cut<'a> {
    pub(super) token: Option<&'a str>,
    pub(super) limit: usize,
    /// What the token is bound to.
    pub(super) query: Hash,
}

impl Call<'_> {
    /// The scope that the request is about.
    pub(super) const fn scope(&self) -> &Scope {
        &self.principal.scope
    }

    /// The scopes of some accounts, or the caller's own when none is named; those that the caller does not see by their number.
    pub(super) fn accounts<'s>(&'s self, named: Option<&'s Vec<String>>) -> (Vec<&'s Scope>, Vec<&'s str>) {
        let named: Vec<&str> = named.into_iter().flatten().map(String::as_str).collect();
        if named.is_empty() {
            return (vec![self.scope()], Vec::new());
        }
        let (seen, unseen): (Vec<&str>, Vec<&str>) = named.into_iter().partition(|account| self.principal.scope_of(account).is_some());
        (seen.into_iter().filter_map(|account| self.principal.scope_of(account)).collect(), unseen)
    }

    /// How to cut a listing. `query` is all of the input but the page.
    pub(super) fn cut<'t>(
        &self,
        query: &impl Serialize,
        token: Option<&'t String>,
        max_results: Option<i32>,
        default: usize,
    ) -> Result<Cut<'t>, Failure> {
        let bytes = serde_json::to_vec(&(&self.principal.scopes(), query))?;
        let limit = max_results.and_then(|max| usize::try_from(max).ok()).unwrap_or(default).max(1);
        Ok(Cut { token: token.map(String::as_str).filter(|token| !token.is_empty()), limit, query: Hash::of(&bytes) })
    }

    /// The one document of a kind that a scope has, if any.
    pub(super) fn find_kept<T: DeserializeOwned>(&self, scope: &Scope, kind: &str) -> Result<Option<T>, Failure> {
        let documents = self.backend.documents(scope, kind)?;
        Ok(documents.iter().find(|document| document.key == ONLY).map(|document| serde_json::from_str(&document.body)).transpose()?)
    }

    /// The one document of a kind that a scope has, or what stands for none.
    pub(super) fn kept<T: DeserializeOwned + Default>(&self, scope: &Scope, kind: &str) -> Result<T, Failure> {
        Ok(self.find_kept(scope, kind)?.unwrap_or_default())
    }

    /// Keeps the one document of a kind that a scope has.
    pub(super) fn keep(&self, scope: &Scope, kind: &str, value: &impl Serialize) -> Result<(), Failure> {
        let document = Document { key: ONLY.to_owned(), body: serde_json::to_string(value)? };
        Ok(self.backend.put_document(scope, kind, &document)?)
    }
}
