//! Usage and trials: what is scanned here costs nothing.

use super::call::Call;
use super::failure::Failure;
use lestrade_model::{ResourceKind, Scope, Timestamp};
use lestrade_wire::inspector2::{
    BatchGetFreeTrialInfoRequest, BatchGetFreeTrialInfoResponse, Currency, FreeTrialAccountInfo, FreeTrialInfoError,
    FreeTrialInfoErrorCode, ListUsageTotalsRequest, ListUsageTotalsResponse, Usage, UsageTotal, UsageType,
};

/// Usage is that of the last thirty days.
const PERIOD_MS: i64 = 30 * 86_400_000;
const PAGE: usize = 500;

pub(super) fn list_usage_totals(call: &Call<'_>, input: ListUsageTotalsRequest) -> Result<ListUsageTotalsResponse, Failure> {
    let cut = call.cut(&("ListUsageTotals", &input.account_ids), input.next_token.as_ref(), input.max_results, PAGE)?;
    let mut window = call.pages.window::<String, &Scope>(&cut, call.now)?;
    let (scopes, _) = call.accounts(input.account_ids.as_ref());
    scopes.into_iter().for_each(|scope| window.offer(scope.account.clone(), || scope));
    let (scopes, next_token) = call.pages.close(window, &cut, call.now)?;
    let totals = scopes.into_iter().map(|scope| total(call, scope)).collect::<Result<_, _>>()?;
    Ok(ListUsageTotalsResponse { next_token, totals: Some(totals) })
}

/// Hours of instances are not counted here, so none are told; images that were looked at are.
fn total(call: &Call<'_>, scope: &Scope) -> Result<UsageTotal, Failure> {
    let since = call.now.plus_millis(-PERIOD_MS);
    let mut images = 0_u32;
    call.backend.resources(std::slice::from_ref(scope), &mut |entry, _| {
        let scanned: Option<Timestamp> = entry.coverage.iter().filter_map(|coverage| coverage.last_scanned).max();
        if entry.resource.key.kind == ResourceKind::Image && scanned.is_some_and(|at| at >= since) {
            images += 1;
        }
    })?;
    let usage = Usage {
        r#type: Some(UsageType::EcrInitialScan),
        total: Some(f64::from(images)),
        estimated_monthly_cost: Some(0.0),
        currency: Some(Currency::Usd),
        cloud_provider: None,
    };
    Ok(UsageTotal { account_id: Some(scope.account.clone()), usage: Some(vec![usage]) })
}

/// Nothing is on trial.
pub(super) fn batch_get_free_trial_info(
    call: &Call<'_>,
    input: BatchGetFreeTrialInfoRequest,
) -> Result<BatchGetFreeTrialInfoResponse, Failure> {
    let (scopes, unseen) = call.accounts(Some(&input.account_ids));
    let accounts = scopes.into_iter().map(|scope| FreeTrialAccountInfo { account_id: scope.account.clone(), free_trial_info: Vec::new() });
    let failed = unseen.into_iter().map(|account| FreeTrialInfoError {
        account_id: account.to_owned(),
        code: FreeTrialInfoErrorCode::AccessDenied,
        message: "The account is not a member account of yours.".to_owned(),
    });
    Ok(BatchGetFreeTrialInfoResponse { accounts: accounts.collect(), failed_accounts: failed.collect() })
}
