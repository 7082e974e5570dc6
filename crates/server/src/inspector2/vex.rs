//! What suppliers say of vulnerabilities in their products (VEX), kept as documents and put in force as suppressions that name them.
//!
//! A statement hides a finding when it covers every package that the finding is about. One that a later statement takes back hides
//! nothing; so does one about something that has no name here.

use super::call::Call;
use super::failure::Failure;
use super::filters::enforce;
use super::front::Front;
use super::suppressions::SuppressionError;
use crate::inspector2::backend::Backend;
use lestrade_advisories::{VexProduct, parse_vex};
use lestrade_findings::{Criteria, Suppression, Term, TextField, TextTest};
use lestrade_matching::{PackagePattern, Statement, Status};
use lestrade_model::{PackageUrl, Scope, Timestamp};
use lestrade_store::Document;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The kind of the documents that hold them.
const KIND: &str = "vex";
/// The longest name, and the largest document.
const LONGEST: usize = 200;
pub(crate) const LARGEST: usize = 16 << 20;

#[derive(Serialize, Deserialize)]
struct Kept {
    taken: Timestamp,
    text: String,
}

/// A document, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VexDocument {
    /// Its name.
    pub name: String,
    /// When it was taken in, RFC 3339.
    pub taken: String,
    /// How many statements it makes.
    pub statements: usize,
    /// How many of them hide something, if it is found.
    pub in_force: usize,
}

/// The suppressions that a scope's documents make.
pub(super) fn stated(backend: &dyn Backend, scope: &Scope) -> Result<Vec<Suppression>, Failure> {
    let mut all = Vec::new();
    for document in backend.documents(scope, KIND)? {
        let kept: Kept = serde_json::from_str(&document.body)?;
        // It was read when it was taken in.
        all.extend(parse_vex(kept.text.as_bytes(), &document.key).unwrap_or_default());
    }
    Ok(in_force(all).iter().flat_map(|(product, statement)| suppressions_of(scope, product, statement)).collect())
}

/// The statements that hide something: those that say so, and that no later one takes back.
fn in_force(mut all: Vec<(VexProduct, Statement)>) -> Vec<(VexProduct, Statement)> {
    all.sort_by_key(|(_, statement)| statement.made);
    let mut standing: Vec<(VexProduct, Statement)> = Vec::new();
    for (product, statement) in all {
        if statement.status == Status::Affected {
            let concerns = |other: &(VexProduct, Statement)| {
                other.1.ids.iter().any(|id| statement.ids.contains(id))
                    && (statement.packages.is_empty() || other.1.packages.is_empty() || meet(&statement.packages, &other.1.packages))
            };
            standing.retain(|other| !concerns(other));
        } else {
            standing.push((product, statement));
        }
    }
    standing
}

/// Whether patterns of both kinds may be about one package.
fn meet(some: &[PackagePattern], others: &[PackagePattern]) -> bool {
    some.iter().any(|one| others.iter().any(|other| one.is_of_the_package_of(other)))
}

fn suppressions_of(scope: &Scope, product: &VexProduct, statement: &Statement) -> Vec<Suppression> {
    let Some(of_product) = product_terms(product) else { return Vec::new() };
    if statement.ids.is_empty() || (statement.packages.is_empty() && of_product.is_empty()) {
        return Vec::new();
    }
    let by: Arc<str> = match statement.reason.as_str() {
        "" => format!("{}: {}", statement.source, statement.status.as_str()),
        reason => format!("{}: {}: {reason}", statement.source, statement.status.as_str()),
    }
    .into();
    let ids: Vec<TextTest> = statement.ids.iter().cloned().map(TextTest::Equals).collect();
    // It may speak of a vulnerability by another of its names.
    [TextField::VulnerabilityId, TextField::RelatedVulnerabilities]
        .into_iter()
        .map(|field| {
            let mut terms = vec![Term::Text(field, ids.clone())];
            terms.extend(of_product.iter().cloned());
            if !statement.packages.is_empty() {
                terms.push(Term::Covered(statement.packages.clone()));
            }
            Suppression { scope: scope.clone(), by: Arc::clone(&by), criteria: Criteria { terms } }
        })
        .collect()
}

/// What must hold of a resource that is a product; none when the product cannot be told.
fn product_terms(product: &VexProduct) -> Option<Vec<Term>> {
    let equals = |field, value: &str| Term::Text(field, vec![TextTest::Equals(value.to_owned())]);
    match product {
        VexProduct::Packages => Some(Vec::new()),
        VexProduct::Named(name) => Some(vec![equals(TextField::ResourceId, name)]),
        VexProduct::Image(url) => {
            let terms = image_terms(url, &equals);
            (!terms.is_empty()).then_some(terms)
        }
    }
}

/// An image by its digest, or by its repository and tag (package URL types `oci` and `docker`).
fn image_terms(url: &PackageUrl, equals: &impl Fn(TextField, &str) -> Term) -> Vec<Term> {
    let qualifier = |name: &str| url.qualifiers.get(name).map(String::as_str);
    let digest = url.version.as_deref().filter(|version| version.starts_with("sha256:"));
    let tag = qualifier("tag").or(url.version.as_deref().filter(|version| !version.starts_with("sha256:")));
    let repository = match (url.kind.as_str(), qualifier("repository_url")) {
        (_, Some(place)) => place.split_once('/').map(|(_, name)| name.trim_end_matches('/').to_owned()),
        ("docker", None) => Some(url.namespace.iter().chain([&url.name]).map(String::as_str).collect::<Vec<_>>().join("/")),
        _ => None,
    };
    let mut terms: Vec<Term> = digest.map(|digest| equals(TextField::EcrImageHash, digest)).into_iter().collect();
    if let Some(repository) = repository {
        terms.push(equals(TextField::EcrImageRepositoryName, &repository));
        terms.extend(tag.map(|tag| equals(TextField::EcrImageTags, tag)));
    }
    terms
}

impl<B: Backend> Front<B> {
    /// Takes a document in, in place of the one of its name, and has it in force at once.
    ///
    /// # Errors
    /// When it is no such document, or cannot be kept.
    pub fn take_vex(&self, scope: &Scope, name: &str, text: &[u8]) -> Result<VexDocument, SuppressionError> {
        let refused = |why: String| SuppressionError::Refused(why);
        if name.trim().is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) {
            return Err(refused(format!("a name has 1 to {LONGEST} characters, none of them a control character")));
        }
        let text = std::str::from_utf8(text).map_err(|_| refused("it is no text".to_owned()))?;
        parse_vex(text.as_bytes(), name).map_err(|why| refused(format!("it is no VEX document: {why}")))?;
        self.as_owner(scope, |call| {
            let kept = Kept { taken: call.now, text: text.to_owned() };
            let body = serde_json::to_string(&kept).map_err(Failure::from)?;
            call.backend.put_document(scope, KIND, &Document { key: name.to_owned(), body }).map_err(Failure::from)?;
            enforce(call)?;
            let made = all(call, scope)?.into_iter().find(|document| document.name == name);
            made.ok_or_else(|| SuppressionError::Broken("it is gone".to_owned()))
        })
    }

    /// The documents of a scope, by name.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn vex(&self, scope: &Scope) -> Result<Vec<VexDocument>, SuppressionError> {
        self.as_owner(scope, |call| Ok(all(call, scope)?))
    }

    /// Removes a document: what it hid is active at once.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be removed.
    pub fn remove_vex(&self, scope: &Scope, name: &str) -> Result<(), SuppressionError> {
        self.as_owner(scope, |call| {
            if !call.backend.delete_document(scope, KIND, name).map_err(Failure::from)? {
                return Err(SuppressionError::NoDocument(name.chars().take(128).collect()));
            }
            Ok(enforce(call)?)
        })
    }
}

fn all(call: &Call<'_>, scope: &Scope) -> Result<Vec<VexDocument>, Failure> {
    let mut documents = Vec::new();
    for Document { key, body } in call.backend.documents(scope, KIND)? {
        let kept: Kept = serde_json::from_str(&body)?;
        let said = parse_vex(kept.text.as_bytes(), &key).unwrap_or_default();
        let statements = said.len();
        let hide = |(product, statement): &(VexProduct, Statement)| !suppressions_of(scope, product, statement).is_empty();
        let in_force = in_force(said).iter().filter(|said| hide(said)).count();
        documents.push(VexDocument { name: key, taken: kept.taken.to_string(), statements, in_force });
    }
    Ok(documents)
}
