//! Members: the accounts that a key sees beside its own.

use super::call::Call;
use super::failure::{Failure, denied, not_found};
use lestrade_model::Scope;
use lestrade_wire::inspector2::{
    AssociateMemberRequest, AssociateMemberResponse, GetMemberRequest, GetMemberResponse, ListMembersRequest, ListMembersResponse, Member,
    RelationshipStatus,
};

const PAGE: usize = 50;

pub(super) fn list_members(call: &Call<'_>, input: ListMembersRequest) -> Result<ListMembersResponse, Failure> {
    let cut = call.cut(&("ListMembers", &input.only_associated), input.next_token.as_ref(), input.max_results, PAGE)?;
    let mut window = call.pages.window::<String, Member>(&cut, call.now)?;
    for scope in members(call) {
        window.offer(scope.account.clone(), || member(call, scope));
    }
    let (members, next_token) = call.pages.close(window, &cut, call.now)?;
    Ok(ListMembersResponse { members: Some(members), next_token })
}

pub(super) fn get_member(call: &Call<'_>, input: GetMemberRequest) -> Result<GetMemberResponse, Failure> {
    let member = one(call, &input.account_id).map(|scope| member(call, scope));
    member.map(|member| GetMemberResponse { member: Some(member) }).ok_or_else(|| not_found(format!("{} is no member.", input.account_id)))
}

/// An account that the key sees is associated already; no other can be.
pub(super) fn associate_member(call: &Call<'_>, input: AssociateMemberRequest) -> Result<AssociateMemberResponse, Failure> {
    match one(call, &input.account_id) {
        Some(_) => Ok(AssociateMemberResponse { account_id: input.account_id }),
        None => Err(denied(format!("Your key was not issued for account {}.", input.account_id))),
    }
}

fn members<'c>(call: &'c Call<'_>) -> impl Iterator<Item = &'c Scope> {
    call.principal.members.iter().filter(|scope| scope.account != call.scope().account)
}

fn one<'c>(call: &'c Call<'_>, account: &str) -> Option<&'c Scope> {
    members(call).find(|scope| scope.account == account)
}

fn member(call: &Call<'_>, scope: &Scope) -> Member {
    Member {
        account_id: Some(scope.account.clone()),
        relationship_status: Some(RelationshipStatus::Enabled),
        delegated_admin_account_id: Some(call.scope().account.clone()),
        updated_at: None,
    }
}
