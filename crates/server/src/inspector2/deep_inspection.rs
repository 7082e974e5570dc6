//! Settings of deep inspection: whether files of instances are looked at, and where beside the usual places.

use super::call::Call;
use super::failure::Failure;
use lestrade_model::Scope;
use lestrade_wire::inspector2::{
    BatchGetMemberEc2DeepInspectionStatusRequest, BatchGetMemberEc2DeepInspectionStatusResponse,
    BatchUpdateMemberEc2DeepInspectionStatusRequest, BatchUpdateMemberEc2DeepInspectionStatusResponse, Ec2DeepInspectionStatus,
    FailedMemberAccountEc2DeepInspectionStatusState, GetEc2DeepInspectionConfigurationRequest, GetEc2DeepInspectionConfigurationResponse,
    MemberAccountEc2DeepInspectionStatusState, UpdateEc2DeepInspectionConfigurationRequest, UpdateEc2DeepInspectionConfigurationResponse,
    UpdateOrgEc2DeepInspectionConfigurationRequest, UpdateOrgEc2DeepInspectionConfigurationResponse,
};
use serde::{Deserialize, Serialize};

const KIND: &str = "inspector2-deep-inspection";

/// What was set for an account.
#[derive(Serialize, Deserialize)]
#[serde(default)]
struct Settings {
    active: bool,
    paths: Vec<String>,
    /// Those that the account, as administrator, set for all its members.
    organization_paths: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { active: true, paths: Vec::new(), organization_paths: Vec::new() }
    }
}

impl Settings {
    const fn status(&self) -> Ec2DeepInspectionStatus {
        if self.active { Ec2DeepInspectionStatus::Activated } else { Ec2DeepInspectionStatus::Deactivated }
    }
}

pub(super) fn get_configuration(
    call: &Call<'_>,
    _: GetEc2DeepInspectionConfigurationRequest,
) -> Result<GetEc2DeepInspectionConfigurationResponse, Failure> {
    let settings = call.kept::<Settings>(call.scope(), KIND)?;
    Ok(GetEc2DeepInspectionConfigurationResponse {
        status: Some(settings.status()),
        package_paths: Some(settings.paths),
        org_package_paths: Some(settings.organization_paths),
        error_message: None,
    })
}

pub(super) fn update_configuration(
    call: &Call<'_>,
    input: UpdateEc2DeepInspectionConfigurationRequest,
) -> Result<UpdateEc2DeepInspectionConfigurationResponse, Failure> {
    let mut settings = call.kept::<Settings>(call.scope(), KIND)?;
    settings.active = input.activate_deep_inspection.unwrap_or(settings.active);
    settings.paths = input.package_paths.unwrap_or(settings.paths);
    call.keep(call.scope(), KIND, &settings)?;
    Ok(UpdateEc2DeepInspectionConfigurationResponse {
        status: Some(settings.status()),
        package_paths: Some(settings.paths),
        org_package_paths: Some(settings.organization_paths),
        error_message: None,
    })
}

pub(super) fn update_organization(
    call: &Call<'_>,
    input: UpdateOrgEc2DeepInspectionConfigurationRequest,
) -> Result<UpdateOrgEc2DeepInspectionConfigurationResponse, Failure> {
    let mut settings = call.kept::<Settings>(call.scope(), KIND)?;
    settings.organization_paths = input.org_package_paths;
    call.keep(call.scope(), KIND, &settings)?;
    Ok(UpdateOrgEc2DeepInspectionConfigurationResponse {})
}

pub(super) fn batch_get_member_status(
    call: &Call<'_>,
    input: BatchGetMemberEc2DeepInspectionStatusRequest,
) -> Result<BatchGetMemberEc2DeepInspectionStatusResponse, Failure> {
    let (scopes, unseen) = call.accounts(input.account_ids.as_ref());
    let states = scopes.into_iter().map(|scope| Ok(state(scope, &call.kept(scope, KIND)?))).collect::<Result<_, Failure>>()?;
    let failed = unseen.into_iter().map(failed).collect();
    Ok(BatchGetMemberEc2DeepInspectionStatusResponse { account_ids: Some(states), failed_account_ids: Some(failed) })
}

pub(super) fn batch_update_member_status(
    call: &Call<'_>,
    input: BatchUpdateMemberEc2DeepInspectionStatusRequest,
) -> Result<BatchUpdateMemberEc2DeepInspectionStatusResponse, Failure> {
    let (mut states, mut failures) = (Vec::new(), Vec::new());
    for wanted in input.account_ids {
        let Some(scope) = call.principal.scope_of(&wanted.account_id) else {
            failures.push(failed(&wanted.account_id));
            continue;
        };
        let settings = Settings { active: wanted.activate_deep_inspection, ..call.kept(scope, KIND)? };
        call.keep(scope, KIND, &settings)?;
        states.push(state(scope, &settings));
    }
    Ok(BatchUpdateMemberEc2DeepInspectionStatusResponse { account_ids: Some(states), failed_account_ids: Some(failures) })
}

fn state(scope: &Scope, settings: &Settings) -> MemberAccountEc2DeepInspectionStatusState {
    MemberAccountEc2DeepInspectionStatusState { account_id: scope.account.clone(), status: Some(settings.status()), error_message: None }
}

fn failed(account: &str) -> FailedMemberAccountEc2DeepInspectionStatusState {
    FailedMemberAccountEc2DeepInspectionStatusState {
        account_id: account.to_owned(),
        ec2_scan_status: None,
        error_message: Some("The account is not a member account of yours.".to_owned()),
    }
}
