//! The organization: its administrator, and what is switched on in accounts that have not said. There is no AWS Organizations
//! behind it: accounts see each other as their keys say.

use super::call::Call;
use super::failure::{Failure, conflict, denied, not_found};
use lestrade_wire::inspector2::{
    AutoEnable, DelegatedAdmin, DelegatedAdminAccount, DelegatedAdminStatus, DescribeOrganizationConfigurationRequest,
    DescribeOrganizationConfigurationResponse, DisableDelegatedAdminAccountRequest, DisableDelegatedAdminAccountResponse,
    EnableDelegatedAdminAccountRequest, EnableDelegatedAdminAccountResponse, GetDelegatedAdminAccountRequest,
    GetDelegatedAdminAccountResponse, ListDelegatedAdminAccountsRequest, ListDelegatedAdminAccountsResponse, RelationshipStatus,
    UpdateOrganizationConfigurationRequest, UpdateOrganizationConfigurationResponse,
};
use serde::{Deserialize, Serialize};

const KIND: &str = "inspector2-organization";

/// What was set for an organization.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Organization {
    administrator: Option<String>,
    auto_enable: Option<AutoEnable>,
}

/// What is switched on in members that have not said; none when the organization has not said either.
pub(super) fn auto_enable(call: &Call<'_>) -> Result<Option<AutoEnable>, Failure> {
    Ok(call.kept::<Organization>(call.scope(), KIND)?.auto_enable)
}

pub(super) fn get_delegated_admin_account(
    call: &Call<'_>,
    _: GetDelegatedAdminAccountRequest,
) -> Result<GetDelegatedAdminAccountResponse, Failure> {
    let administrator = call.kept::<Organization>(call.scope(), KIND)?.administrator;
    let account_id = administrator.ok_or_else(|| not_found("There is no delegated administrator."))?;
    let delegated_admin = DelegatedAdmin { account_id: Some(account_id), relationship_status: Some(RelationshipStatus::Enabled) };
    Ok(GetDelegatedAdminAccountResponse { delegated_admin: Some(delegated_admin) })
}

/// There is one at most, so all of them are on the first page.
pub(super) fn list_delegated_admin_accounts(
    call: &Call<'_>,
    _: ListDelegatedAdminAccountsRequest,
) -> Result<ListDelegatedAdminAccountsResponse, Failure> {
    let administrator = call.kept::<Organization>(call.scope(), KIND)?.administrator;
    let account = |account| DelegatedAdminAccount { account_id: Some(account), status: Some(DelegatedAdminStatus::Enabled) };
    Ok(ListDelegatedAdminAccountsResponse {
        delegated_admin_accounts: Some(administrator.map(account).into_iter().collect()),
        next_token: None,
    })
}

pub(super) fn enable_delegated_admin_account(
    call: &Call<'_>,
    input: EnableDelegatedAdminAccountRequest,
) -> Result<EnableDelegatedAdminAccountResponse, Failure> {
    let account = input.delegated_admin_account_id;
    if call.principal.scope_of(&account).is_none() {
        return Err(denied(format!("Your key was not issued for account {account}.")));
    }
    let mut organization = call.kept::<Organization>(call.scope(), KIND)?;
    if let Some(other) = organization.administrator.filter(|other| *other != account) {
        return Err(conflict(format!("Account {other} is the delegated administrator already."), other, "DelegatedAdminAccount"));
    }
    organization.administrator = Some(account.clone());
    call.keep(call.scope(), KIND, &organization)?;
    Ok(EnableDelegatedAdminAccountResponse { delegated_admin_account_id: account })
}

pub(super) fn disable_delegated_admin_account(
    call: &Call<'_>,
    input: DisableDelegatedAdminAccountRequest,
) -> Result<DisableDelegatedAdminAccountResponse, Failure> {
    let account = input.delegated_admin_account_id;
    let mut organization = call.kept::<Organization>(call.scope(), KIND)?;
    if organization.administrator.as_ref() != Some(&account) {
        return Err(not_found(format!("Account {account} is not the delegated administrator.")));
    }
    organization.administrator = None;
    call.keep(call.scope(), KIND, &organization)?;
    Ok(DisableDelegatedAdminAccountResponse { delegated_admin_account_id: account })
}

pub(super) fn describe_organization_configuration(
    call: &Call<'_>,
    _: DescribeOrganizationConfigurationRequest,
) -> Result<DescribeOrganizationConfigurationResponse, Failure> {
    let nothing = AutoEnable {
        ec2: false,
        ecr: false,
        lambda: Some(false),
        lambda_code: Some(false),
        code_repository: Some(false),
        ami: Some(false),
    };
    let auto_enable = auto_enable(call)?.unwrap_or(nothing);
    Ok(DescribeOrganizationConfigurationResponse { auto_enable: Some(auto_enable), max_account_limit_reached: Some(false) })
}

pub(super) fn update_organization_configuration(
    call: &Call<'_>,
    input: UpdateOrganizationConfigurationRequest,
) -> Result<UpdateOrganizationConfigurationResponse, Failure> {
    let mut organization = call.kept::<Organization>(call.scope(), KIND)?;
    organization.auto_enable = Some(input.auto_enable.clone());
    call.keep(call.scope(), KIND, &organization)?;
    Ok(UpdateOrganizationConfigurationResponse { auto_enable: input.auto_enable })
}
