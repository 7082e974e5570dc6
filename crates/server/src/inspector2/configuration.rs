//! How an account is scanned.

use super::call::Call;
use super::failure::{Failure, invalid_field};
use lestrade_model::{Scope, Timestamp};
use lestrade_wire::inspector2::{
    Ec2Configuration, Ec2ConfigurationState, Ec2ScanMode, Ec2ScanModeState, Ec2ScanModeStatus, EcrConfiguration, EcrConfigurationState,
    EcrPullDateRescanDuration, EcrPullDateRescanMode, EcrRescanDuration, EcrRescanDurationState, EcrRescanDurationStatus,
    GetConfigurationRequest, GetConfigurationResponse, UpdateConfigurationRequest, UpdateConfigurationResponse,
};
use serde::{Deserialize, Serialize};

const KIND: &str = "inspector2-configuration";

/// What was set; each part as the API takes it.
#[derive(Default, Serialize, Deserialize)]
struct Configuration {
    ec2: Option<Ec2Configuration>,
    ecr: Option<EcrConfiguration>,
    ecr_updated: Option<Timestamp>,
}

pub(super) fn get_configuration(call: &Call<'_>, input: GetConfigurationRequest) -> Result<GetConfigurationResponse, Failure> {
    let set = call.kept::<Configuration>(scope(call, input.account_id.as_deref())?, KIND)?;
    let ecr = set.ecr.unwrap_or(EcrConfiguration {
        rescan_duration: EcrRescanDuration::Lifetime,
        pull_date_rescan_duration: Some(EcrPullDateRescanDuration::Days14),
        pull_date_rescan_mode: Some(EcrPullDateRescanMode::LastInUseAt),
    });
    let scan_mode = set.ec2.map_or(Ec2ScanMode::Ec2Hybrid, |ec2| ec2.scan_mode);
    Ok(GetConfigurationResponse {
        ecr_configuration: Some(EcrConfigurationState {
            rescan_duration_state: Some(EcrRescanDurationState {
                rescan_duration: Some(ecr.rescan_duration),
                status: Some(EcrRescanDurationStatus::Success),
                updated_at: set.ecr_updated.map(Into::into),
                pull_date_rescan_duration: ecr.pull_date_rescan_duration,
                pull_date_rescan_mode: ecr.pull_date_rescan_mode,
            }),
        }),
        ec2_configuration: Some(Ec2ConfigurationState {
            scan_mode_state: Some(Ec2ScanModeState { scan_mode: Some(scan_mode), scan_mode_status: Some(Ec2ScanModeStatus::Success) }),
            vm_scanner_state: None,
        }),
        ami_configuration: None,
    })
}

pub(super) fn update_configuration(call: &Call<'_>, input: UpdateConfigurationRequest) -> Result<UpdateConfigurationResponse, Failure> {
    for (field, given) in [
        ("amiConfiguration", input.ami_configuration.is_some()),
        ("updateConfigurationInheritance", input.update_configuration_inheritance.is_some()),
    ] {
        if given {
            return Err(invalid_field(field, "this is not supported here"));
        }
    }
    let scope = scope(call, input.account_id.as_deref())?;
    let mut set = call.kept::<Configuration>(scope, KIND)?;
    if input.ecr_configuration.is_some() {
        set.ecr = input.ecr_configuration;
        set.ecr_updated = Some(call.now);
    }
    set.ec2 = input.ec2_configuration.or(set.ec2);
    call.keep(scope, KIND, &set)?;
    Ok(UpdateConfigurationResponse {})
}

fn scope<'c>(call: &'c Call<'_>, account: Option<&str>) -> Result<&'c Scope, Failure> {
    account
        .map_or(Some(call.scope()), |account| call.principal.scope_of(account))
        .ok_or_else(|| invalid_field("accountId", "the account is not a member account of yours"))
}
