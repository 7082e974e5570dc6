//! Filters: kept searches, and suppression rules.

use super::backend::Backend;
use super::call::Call;
use super::criteria::criteria;
use super::failure::{Failure, bad_request, invalid_field, not_found, quota};
use super::suppressions::has_expired;
use super::vex::stated;
use lestrade_findings::Suppression;
use lestrade_model::Scope;
use lestrade_store::Document;
use lestrade_wire::inspector2::{
    CreateFilterRequest, CreateFilterResponse, DeleteFilterRequest, DeleteFilterResponse, Error, Filter, FilterAction, ListFiltersRequest,
    ListFiltersResponse, UpdateFilterRequest, UpdateFilterResponse,
};
use uuid::Uuid;

/// The kind of a filter's document; its key is the filter's ARN, its body the filter as the API shows it.
const KIND: &str = "inspector2-filter";
/// As many as Inspector allows in an account.
const MOST: usize = 500;
const PAGE: usize = 100;
const IN_USE: &str = "A filter with the same name already exists.";

pub(super) fn create_filter(call: &Call<'_>, input: CreateFilterRequest) -> Result<CreateFilterResponse, Failure> {
    criteria(&input.filter_criteria)?;
    let existing = all(call.backend, call.scope())?;
    if existing.len() >= MOST {
        return Err(quota(format!("An account has at most {MOST} filters."), call.scope().account.as_str()));
    }
    if is_in_use(&existing, &input.name, "") {
        return Err(bad_request(IN_USE));
    }
    let id = &Uuid::new_v4().simple().to_string()[..16];
    let account = &call.scope().account;
    let filter = Filter {
        arn: call.scope().arn("inspector2", &format!("owner/{account}/filter/{id}")),
        owner_id: account.clone(),
        name: input.name,
        criteria: input.filter_criteria,
        action: input.action,
        created_at: call.now.into(),
        updated_at: call.now.into(),
        description: input.description,
        reason: input.reason,
        tags: input.tags.filter(|tags| !tags.is_empty()),
    };
    put(call, &filter)?;
    enforce(call)?;
    Ok(CreateFilterResponse { arn: filter.arn })
}

pub(super) fn update_filter(call: &Call<'_>, input: UpdateFilterRequest) -> Result<UpdateFilterResponse, Failure> {
    let mut filter = one(call, &input.filter_arn)?;
    if let Some(name) = input.name {
        // An update has no other error for it than that the name is not valid.
        if is_in_use(&all(call.backend, call.scope())?, &name, &filter.arn) {
            return Err(invalid_field("name", IN_USE));
        }
        filter.name = name;
    }
    if let Some(wanted) = input.filter_criteria {
        criteria(&wanted)?;
        filter.criteria = wanted;
    }
    filter.action = input.action.unwrap_or(filter.action);
    filter.description = input.description.or(filter.description);
    filter.reason = input.reason.or(filter.reason);
    filter.updated_at = call.now.into();
    put(call, &filter)?;
    enforce(call)?;
    Ok(UpdateFilterResponse { arn: filter.arn })
}

pub(super) fn delete_filter(call: &Call<'_>, input: DeleteFilterRequest) -> Result<DeleteFilterResponse, Failure> {
    if !call.backend.delete_document(call.scope(), KIND, &input.arn)? {
        return Err(absent(&input.arn));
    }
    enforce(call)?;
    Ok(DeleteFilterResponse { arn: input.arn })
}

pub(super) fn list_filters(call: &Call<'_>, input: ListFiltersRequest) -> Result<ListFiltersResponse, Failure> {
    let cut = call.cut(&("ListFilters", &input.arns, &input.action), input.next_token.as_ref(), input.max_results, PAGE)?;
    let mut window = call.pages.window::<String, Filter>(&cut, call.now)?;
    for filter in all(call.backend, call.scope())? {
        let named = input.arns.as_ref().is_none_or(|arns| arns.is_empty() || arns.contains(&filter.arn));
        if named && input.action.as_ref().is_none_or(|action| *action == filter.action) {
            window.offer(filter.arn.clone(), || filter);
        }
    }
    let (filters, next_token) = call.pages.close(window, &cut, call.now)?;
    Ok(ListFiltersResponse { filters, next_token })
}

/// The suppression rules that the filters of a scope make: for the start of the server, when nothing has changed yet.
///
/// # Errors
/// When the store fails, or holds a filter that cannot be read: a rule that is not in force must not pass unnoticed.
pub fn suppressions(backend: &dyn Backend, scope: &Scope) -> Result<Vec<Suppression>, Error> {
    rules(backend, scope).map_err(|failure| match failure {
        Failure::Service(error) => error,
        other => lestrade_wire::inspector2::InternalServerException { message: other.to_string(), retry_after_seconds: None }.into(),
    })
}

fn rules(backend: &dyn Backend, scope: &Scope) -> Result<Vec<Suppression>, Failure> {
    let now = backend.now();
    let in_force = |filter: &Filter| filter.action == FilterAction::Suppress && !has_expired(filter, now);
    let filters = all(backend, scope)?.into_iter().filter(in_force);
    let rule = |filter: Filter| {
        let by = filter.name.as_str().into();
        Ok(Suppression { scope: scope.clone(), by, criteria: criteria(&filter.criteria)? })
    };
    let mut rules = filters.map(rule).collect::<Result<Vec<_>, Failure>>()?;
    rules.extend(stated(backend, scope)?);
    Ok(rules)
}

/// Puts the rules of the scope in force, as its filters say now.
pub(super) fn enforce(call: &Call<'_>) -> Result<(), Failure> {
    call.backend.set_suppressions(call.scope(), rules(call.backend, call.scope())?);
    Ok(())
}

/// The filter of an ARN.
pub(super) fn one(call: &Call<'_>, arn: &str) -> Result<Filter, Failure> {
    all(call.backend, call.scope())?.into_iter().find(|filter| filter.arn == arn).ok_or_else(|| absent(arn))
}

/// Keeps a filter.
pub(super) fn put(call: &Call<'_>, filter: &Filter) -> Result<(), Failure> {
    let document = Document { key: filter.arn.clone(), body: serde_json::to_string(filter)? };
    Ok(call.backend.put_document(call.scope(), KIND, &document)?)
}

/// Every filter of a scope.
pub(super) fn all(backend: &dyn Backend, scope: &Scope) -> Result<Vec<Filter>, Failure> {
    let documents = backend.documents(scope, KIND)?;
    documents.iter().map(|document| Ok(serde_json::from_str(&document.body)?)).collect()
}

fn is_in_use(existing: &[Filter], name: &str, except: &str) -> bool {
    existing.iter().any(|filter| filter.name == name && filter.arn != except)
}

fn absent(arn: &str) -> Failure {
    not_found(format!("There is no filter {arn}."))
}
