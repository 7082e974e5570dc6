//! `lestrade explain`: every step of a verdict.

use super::judgement::Known;
use super::target::Target;
use crate::args::Explain;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{self, Speech};
use lestrade_findings::assess;
use lestrade_matching::Statements;
use lestrade_report::{TableStyle, explain, printable};

pub(crate) fn run(settings: &Settings, speech: Speech, arguments: &Explain) -> Result<Exit, Failure> {
    let known = Known::open(settings)?;
    let asked = arguments.id.to_uppercase();
    let mut id = asked.clone();
    let (mut advisories, mut exploitation) = known.about(&id)?;
    if advisories.is_empty()
        && let Some(vulnerability) = known.vulnerability_of(&arguments.id)?
    {
        (advisories, exploitation) = known.about(&vulnerability)?;
        id = vulnerability;
    }
    if advisories.is_empty() {
        let what = format!("no advisory is about '{}'", printable(&arguments.id));
        return Err(Failure::new("E0503", Exit::Intelligence, what).try_("lestrade db status      # what is known, and how old it is"));
    }
    let report = match &arguments.target {
        None => None,
        Some(target) => Some(known.judge(Target::guess(settings, target, speech)?, &Statements::default(), vec![])?),
    };
    let assessment = assess(&id, &advisories, exploitation.as_ref());
    let style = TableStyle { width: output::width(), colour: output::colour(speech.color) };
    let mut text = explain(&assessment, &advisories, report.as_ref(), style);
    if let Some(resource) = &arguments.resource {
        text.push_str("\nWHERE IT IS REACHED\n");
        text.push_str(&super::estate::reached(settings, &id, resource)?);
    }
    output::write(None, &text)?;
    Ok(Exit::Ok)
}
