//! How an account is scanned. What was set of it is acted on by whoever scans: how long images are watched, and whether the disks of
//! instances are read.

use super::call::{Call, ONLY};
use super::failure::{Failure, invalid_field};
use crate::{Core, LastUse, Retention};
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
    // Where no client has set it, it is as the server is configured; days for which the API has no word are left out.
    let retention = call.backend.retention();
    let (pushed, used, by) = match set.ecr {
        Some(ecr) => (Some(ecr.rescan_duration), ecr.pull_date_rescan_duration, ecr.pull_date_rescan_mode),
        None => (
            retention.pushed.map_or(Some(EcrRescanDuration::Lifetime), |days| word_of(days).map(EcrRescanDuration::from)),
            word_of(retention.used).map(EcrPullDateRescanDuration::from),
            Some(match retention.by {
                LastUse::Run => EcrPullDateRescanMode::LastInUseAt,
                LastUse::Pull => EcrPullDateRescanMode::LastPullDate,
            }),
        ),
    };
    let scan_mode = set.ec2.map_or(Ec2ScanMode::Ec2Hybrid, |ec2| ec2.scan_mode);
    Ok(GetConfigurationResponse {
        ecr_configuration: Some(EcrConfigurationState {
            rescan_duration_state: Some(EcrRescanDurationState {
                rescan_duration: pushed,
                status: Some(EcrRescanDurationStatus::Success),
                updated_at: set.ecr_updated.map(Into::into),
                pull_date_rescan_duration: used,
                pull_date_rescan_mode: by,
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

/// The durations that the API has words for, in days.
const DURATIONS: [(u32, &str); 7] =
    [(3, "DAYS_3"), (7, "DAYS_7"), (14, "DAYS_14"), (30, "DAYS_30"), (60, "DAYS_60"), (90, "DAYS_90"), (180, "DAYS_180")];

fn word_of(days: u32) -> Option<&'static str> {
    DURATIONS.iter().find(|(known, _)| *known == days).map(|(_, word)| *word)
}

fn days_of(word: &str) -> Option<u32> {
    DURATIONS.iter().find(|(_, known)| *known == word).map(|(days, _)| *days)
}

/// What was set, as whoever scans acts on it; what was not is as configured.
fn retention_of(ecr: &EcrConfiguration, configured: Retention) -> Retention {
    Retention {
        // A word that is not known says for ever: nothing is closed by it.
        pushed: days_of(ecr.rescan_duration.as_str()),
        used: ecr.pull_date_rescan_duration.as_ref().and_then(|word| days_of(word.as_str())).unwrap_or(configured.used),
        by: match ecr.pull_date_rescan_mode {
            Some(EcrPullDateRescanMode::LastPullDate) => LastUse::Pull,
            Some(_) => LastUse::Run,
            None => configured.by,
        },
    }
}

impl Core {
    /// How long the images of an account are watched: as it was set for the first of some scopes for which it was, or as configured.
    /// What cannot be read sets nothing.
    pub(crate) fn retention_in(&self, scopes: &[&Scope], configured: Retention) -> Retention {
        let set = scopes.iter().find_map(|scope| self.configuration_of(scope)?.ecr);
        set.map_or(configured, |ecr| retention_of(&ecr, configured))
    }

    /// Whether it was set, for the first of some scopes for which anything was, that instances are read by their agents alone.
    pub(crate) fn is_agent_based(&self, scopes: &[&Scope]) -> bool {
        let set = scopes.iter().find_map(|scope| self.configuration_of(scope)?.ec2);
        set.is_some_and(|ec2| ec2.scan_mode == Ec2ScanMode::Ec2SsmAgentBased)
    }

    fn configuration_of(&self, scope: &Scope) -> Option<Configuration> {
        let documents = match self.store().documents(scope, KIND) {
            Ok(documents) => documents,
            Err(error) => {
                tracing::warn!(%error, "what was set of how an account is scanned cannot be read");
                return None;
            }
        };
        documents.iter().find(|document| document.key == ONLY).and_then(|document| serde_json::from_str(&document.body).ok())
    }
}

fn scope<'c>(call: &'c Call<'_>, account: Option<&str>) -> Result<&'c Scope, Failure> {
    account
        .map_or(Some(call.scope()), |account| call.principal.scope_of(account))
        .ok_or_else(|| invalid_field("accountId", "the account is not a member account of yours"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_words() {
        let ecr = |pushed: &str, used: Option<&str>, by: Option<EcrPullDateRescanMode>| EcrConfiguration {
            rescan_duration: EcrRescanDuration::from(pushed),
            pull_date_rescan_duration: used.map(EcrPullDateRescanDuration::from),
            pull_date_rescan_mode: by,
        };
        let configured = Retention { pushed: Some(5), used: 9, by: LastUse::Run };
        let of = |ecr: EcrConfiguration| retention_of(&ecr, configured);
        assert_eq!(of(ecr("LIFETIME", None, None)), Retention { pushed: None, used: 9, by: LastUse::Run });
        let pulled = of(ecr("DAYS_30", Some("DAYS_7"), Some(EcrPullDateRescanMode::LastPullDate)));
        assert_eq!(pulled, Retention { pushed: Some(30), used: 7, by: LastUse::Pull });
        assert_eq!(of(ecr("DAYS_31", None, None)).pushed, None);
        assert!(DURATIONS.iter().all(|(days, word)| word_of(*days) == Some(*word) && days_of(word) == Some(*days)));
        assert_eq!(word_of(5), None);
    }
}
