//! `lestrade aws`: what an account needs so that it is watched.

use super::serve::own_account;
use crate::args::{AwsWhat, SetupFormat};
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use lestrade_aws::{Duty, Estate, apply, cloudformation, setup_policy, terraform};
use lestrade_report::printable;
use serde_json::Value;
use std::sync::Arc;

pub(crate) fn run(settings: &Settings, what: &AwsWhat) -> Result<Exit, Failure> {
    let AwsWhat::Setup { format, no_run_command, no_agentless, respond, apply: at_once } = what;
    let wanted = |duty: &Duty| match duty {
        Duty::Read | Duty::Follow => true,
        Duty::Ask => !no_run_command,
        Duty::Inventory => settings.text("aws-inventory-bucket").is_some_and(|bucket| !bucket.is_empty()),
        Duty::Snapshot => !no_agentless,
        Duty::Respond => *respond,
    };
    let duties: Vec<Duty> = Duty::ALL.into_iter().filter(wanted).collect();
    let pretty = |value: &Value| serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default();
    let text = match format {
        _ if *at_once => set_up(settings, &cloudformation(&duties))?,
        SetupFormat::Cloudformation => pretty(&cloudformation(&duties)),
        SetupFormat::Terraform => terraform(&duties),
        SetupFormat::Policy => pretty(&setup_policy(&duties)),
    };
    output::write(None, &text)?;
    Ok(Exit::Ok)
}

fn set_up(settings: &Settings, template: &Value) -> Result<String, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("E0702", Exit::Bug, "no thread can be started").cause(error))?;
    let failed = |error: lestrade_aws::Error| {
        Failure::new("E0602", Exit::Network, "AWS does not do what was asked").cause(error).try_("lestrade doctor --aws")
    };
    let estate = runtime.block_on(Estate::enter(&own_account(settings), Arc::new(SystemClock))).map_err(failed)?;
    let Some((scope, session)) = estate.sessions.first() else { return Ok(String::new()) };
    let outputs = runtime.block_on(apply(session, template)).map_err(failed)?;
    let of = |name: &str| printable(outputs.get(name).map_or("", String::as_str));
    Ok(format!(
        "the stack 'lestrade' is in place in account {} in {}\n  attach {} to whoever runs lestrade\n  then: lestrade serve --set aws-queue={}\n",
        scope.account,
        scope.region,
        of("Policy"),
        of("Queue")
    ))
}
