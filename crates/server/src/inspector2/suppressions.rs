//! Suppression rules with an owner and an end. They are filters with the action `SUPPRESS` like those that AWS's clients make, and
//! both see both: the owner and the end are tags. When its end comes a rule becomes a filter that suppresses nothing.

use super::backend::Backend;
use super::failure::Failure;
use super::filters::{all, create_filter, delete_filter, enforce, put};
use super::front::Front;
use crate::reconcile::{Outcome, Reconciler};
use crate::{Core, ServerError};
use lestrade_model::{Scope, Timestamp};
use lestrade_wire::inspector2::{CreateFilterRequest, DeleteFilterRequest, Filter, FilterAction};
use lestrade_wire::{ServiceError, Shaped, validate};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The tag that holds the owner.
const OWNER: &str = "lestrade:owner";
/// The tag that holds the end, RFC 3339.
const EXPIRES: &str = "lestrade:expires";
/// As long as AWS lets a tag's value be.
const LONGEST_TAG: usize = 256;

/// A rule that is to be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NewSuppression {
    /// Its name; no two filters of a scope share one.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Until when it holds, RFC 3339.
    pub expires: String,
    /// Which findings, as `inspector2`'s `filterCriteria`.
    pub criteria: Value,
}

/// A rule, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuppressionRule {
    /// Its name.
    pub name: String,
    /// The filter's ARN.
    pub arn: String,
    /// Whether it suppresses now; if not, its end has come.
    pub in_force: bool,
    /// Why.
    pub reason: Option<String>,
    /// Who answers for it; nobody was named where AWS's clients made it.
    pub owner: Option<String>,
    /// Until when it holds; for ever where AWS's clients made it.
    pub expires: Option<String>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Which findings.
    pub criteria: Value,
}

/// Why a rule is not made or removed.
#[derive(Debug, thiserror::Error)]
pub enum SuppressionError {
    /// The caller's affair: it is not what it should be.
    #[error("{0}")]
    Refused(String),
    /// There is none of that name.
    #[error("there is no suppression rule '{0}'")]
    Absent(String),
    /// There is no document of that name.
    #[error("there is no VEX document '{0}'")]
    NoDocument(String),
    /// Ours.
    #[error("the rules cannot be read or kept: {0}")]
    Broken(String),
}

impl From<Failure> for SuppressionError {
    fn from(failure: Failure) -> Self {
        let said = match &failure {
            Failure::Service(error) => error.to_json().ok().and_then(|body| Some(body.get("message")?.as_str()?.to_owned())),
            _ => return Self::Broken(failure.to_string()),
        };
        Self::Refused(said.unwrap_or_else(|| failure.to_string()))
    }
}

fn tag<'a>(filter: &'a Filter, name: &str) -> Option<&'a str> {
    filter.tags.as_ref()?.get(name).map(String::as_str)
}

fn end_of(filter: &Filter) -> Option<Timestamp> {
    tag(filter, EXPIRES).and_then(|text| Timestamp::parse(text).ok())
}

/// Whether a filter's end has come. One whose end cannot be read has none, as one that has no end at all.
pub(super) fn has_expired(filter: &Filter, now: Timestamp) -> bool {
    end_of(filter).is_some_and(|end| end <= now)
}

fn shown(filter: &Filter, now: Timestamp) -> Result<SuppressionRule, Failure> {
    Ok(SuppressionRule {
        name: filter.name.clone(),
        arn: filter.arn.clone(),
        in_force: filter.action == FilterAction::Suppress && !has_expired(filter, now),
        reason: filter.reason.clone(),
        owner: tag(filter, OWNER).map(str::to_owned),
        expires: tag(filter, EXPIRES).map(str::to_owned),
        created: Timestamp::from(filter.created_at).to_string(),
        criteria: serde_json::to_value(&filter.criteria)?,
    })
}

/// Whether a filter is a rule, or was one until its end came.
fn is_rule(filter: &Filter) -> bool {
    filter.action == FilterAction::Suppress || tag(filter, EXPIRES).is_some()
}

impl<B: Backend> Front<B> {
    /// Makes a rule, and has it in force at once.
    ///
    /// # Errors
    /// When it is not what it should be, would suppress everything, or cannot be kept.
    pub fn suppress(&self, scope: &Scope, rule: &NewSuppression) -> Result<SuppressionRule, SuppressionError> {
        let refused = |why: &str| SuppressionError::Refused(why.to_owned());
        let end = Timestamp::parse(&rule.expires).map_err(|_| refused("its end is no RFC 3339 time"))?;
        if rule.owner.trim().is_empty() || rule.owner.len() > LONGEST_TAG || rule.owner.chars().any(char::is_control) {
            return Err(refused("it needs an owner, of at most 256 characters"));
        }
        if rule.reason.trim().is_empty() {
            return Err(refused("it needs a reason"));
        }
        if rule.criteria.as_object().is_none_or(|criteria| criteria.values().all(|tests| tests.as_array().is_none_or(Vec::is_empty))) {
            return Err(refused("it names no criterion, so it would suppress everything"));
        }
        let tags = BTreeMap::from([(OWNER, rule.owner.clone()), (EXPIRES, end.to_string())]);
        let body = json!({"action": "SUPPRESS", "name": rule.name, "reason": rule.reason, "filterCriteria": rule.criteria, "tags": tags});
        if let Some(violation) = validate(CreateFilterRequest::SHAPE, &body).first() {
            return Err(SuppressionError::Refused(format!("{}: {}", violation.path, violation.message)));
        }
        let input: CreateFilterRequest = serde_json::from_value(body).map_err(|error| SuppressionError::Refused(error.to_string()))?;
        self.as_owner(scope, |call| {
            if end <= call.now {
                return Err(refused("its end has passed"));
            }
            let arn = create_filter(call, input)?.arn;
            let made = all(call.backend, call.scope())?.into_iter().find(|filter| filter.arn == arn);
            made.map(|filter| Ok(shown(&filter, call.now)?)).ok_or_else(|| SuppressionError::Broken("it is gone".to_owned()))?
        })
    }

    /// The rules of a scope, those whose end has come too.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn suppressions(&self, scope: &Scope) -> Result<Vec<SuppressionRule>, SuppressionError> {
        self.as_owner(scope, |call| {
            let filters = all(call.backend, call.scope())?;
            let mut rules =
                filters.iter().filter(|filter| is_rule(filter)).map(|filter| shown(filter, call.now)).collect::<Result<Vec<_>, _>>()?;
            rules.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(rules)
        })
    }

    /// Removes a rule, by its name or ARN: what it suppressed is active at once.
    ///
    /// # Errors
    /// When there is none, or it cannot be removed.
    pub fn unsuppress(&self, scope: &Scope, name: &str) -> Result<(), SuppressionError> {
        self.as_owner(scope, |call| {
            let rule =
                all(call.backend, call.scope())?.into_iter().find(|filter| is_rule(filter) && (filter.name == name || filter.arn == name));
            let arn = rule.ok_or_else(|| SuppressionError::Absent(name.chars().take(128).collect()))?.arn;
            delete_filter(call, DeleteFilterRequest { arn })?;
            Ok(())
        })
    }

    /// Ends the rules whose end has come; answers how many.
    ///
    /// # Errors
    /// When they cannot be read or kept.
    pub fn end_suppressions(&self, scope: &Scope) -> Result<usize, SuppressionError> {
        self.as_owner(scope, |call| {
            let filters = all(call.backend, call.scope())?;
            let expired = filters.into_iter().filter(|filter| filter.action == FilterAction::Suppress && has_expired(filter, call.now));
            let mut ended = 0;
            for filter in expired {
                put(call, &Filter { action: FilterAction::None, updated_at: call.now.into(), ..filter })?;
                ended += 1;
            }
            if ended > 0 {
                enforce(call)?;
            }
            Ok(ended)
        })
    }
}

/// Ends suppression rules when their end has come.
pub struct EndSuppressions {
    /// Through which they are kept.
    pub front: Arc<Front<Core>>,
    /// Whose.
    pub scope: Scope,
}

impl Reconciler for EndSuppressions {
    fn name(&self) -> &'static str {
        "end-suppressions"
    }

    fn reconcile(&mut self) -> Result<Outcome, ServerError> {
        let source = |error: SuppressionError| ServerError::Source { source_name: "suppression rules".into(), reason: error.to_string() };
        Ok(if self.front.end_suppressions(&self.scope).map_err(source)? > 0 { Outcome::Changed } else { Outcome::Unchanged })
    }
}
