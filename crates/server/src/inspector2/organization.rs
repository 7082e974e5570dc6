//! Members, administrators and the organization. There is no organization here: accounts see each other as their keys say.

use super::call::Call;
use super::failure::{Failure, not_found};
use lestrade_wire::inspector2::{
    AutoEnable, DescribeOrganizationConfigurationRequest, DescribeOrganizationConfigurationResponse, GetDelegatedAdminAccountRequest,
    GetDelegatedAdminAccountResponse, ListDelegatedAdminAccountsRequest, ListDelegatedAdminAccountsResponse, ListMembersRequest,
    ListMembersResponse, Member, RelationshipStatus,
};

const PAGE: usize = 50;

/// The accounts that the caller sees beside its own.
pub(super) fn list_members(call: &Call<'_>, input: ListMembersRequest) -> Result<ListMembersResponse, Failure> {
    let cut = call.cut(&("ListMembers", &input.only_associated), input.next_token.as_ref(), input.max_results, PAGE)?;
    let mut window = call.pages.window::<String, Member>(&cut, call.now)?;
    for scope in call.principal.members.iter().filter(|scope| scope.account != call.scope().account) {
        window.offer(scope.account.clone(), || Member {
            account_id: Some(scope.account.clone()),
            relationship_status: Some(RelationshipStatus::Enabled),
            delegated_admin_account_id: Some(call.scope().account.clone()),
            updated_at: None,
        });
    }
    let (members, next_token) = call.pages.close(window, &cut, call.now)?;
    Ok(ListMembersResponse { members: Some(members), next_token })
}

pub(super) fn get_delegated_admin_account(
    _: &Call<'_>,
    _: GetDelegatedAdminAccountRequest,
) -> Result<GetDelegatedAdminAccountResponse, Failure> {
    Err(not_found("There is no delegated administrator."))
}

pub(super) fn list_delegated_admin_accounts(
    _: &Call<'_>,
    _: ListDelegatedAdminAccountsRequest,
) -> Result<ListDelegatedAdminAccountsResponse, Failure> {
    Ok(ListDelegatedAdminAccountsResponse { delegated_admin_accounts: Some(Vec::new()), next_token: None })
}

pub(super) fn describe_organization_configuration(
    _: &Call<'_>,
    _: DescribeOrganizationConfigurationRequest,
) -> Result<DescribeOrganizationConfigurationResponse, Failure> {
    let auto_enable = AutoEnable {
        ec2: false,
        ecr: false,
        lambda: Some(false),
        lambda_code: Some(false),
        code_repository: Some(false),
        ami: Some(false),
    };
    Ok(DescribeOrganizationConfigurationResponse { auto_enable: Some(auto_enable), max_account_limit_reached: Some(false) })
}
