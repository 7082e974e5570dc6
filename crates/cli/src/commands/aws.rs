//! `lestrade aws`: what an account needs so that it is watched.

use crate::args::{AwsWhat, SetupFormat};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use lestrade_aws::{Duty, cloudformation, setup_policy, terraform};

pub(crate) fn run(what: &AwsWhat) -> Result<Exit, Failure> {
    let AwsWhat::Setup { format, no_run_command, no_agentless, respond } = what;
    let wanted = |duty: &Duty| match duty {
        Duty::Read | Duty::Follow => true,
        Duty::Ask => !no_run_command,
        Duty::Snapshot => !no_agentless,
        Duty::Respond => *respond,
    };
    let duties: Vec<Duty> = Duty::ALL.into_iter().filter(wanted).collect();
    let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default();
    let text = match format {
        SetupFormat::Cloudformation => pretty(&cloudformation(&duties)),
        SetupFormat::Terraform => terraform(&duties),
        SetupFormat::Policy => pretty(&setup_policy(&duties)),
    };
    output::write(None, &text)?;
    Ok(Exit::Ok)
}
