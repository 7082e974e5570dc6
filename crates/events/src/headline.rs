//! An event in a few words, for people: what chat, tickets and mail show when a rule says nothing else.

use crate::Message;
use serde_json::Value;

/// The longest title.
const MAX_TITLE: usize = 240;
/// Packages that are named.
const MAX_PACKAGES: usize = 5;

/// What is said of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Headline {
    /// One line.
    pub(crate) title: String,
    /// More lines, each a name and what it is.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// `CRITICAL` to `INFORMATIONAL`, `UNTRIAGED`; empty when it has none.
    pub(crate) severity: String,
    /// Whether what it tells of is over.
    pub(crate) closed: bool,
}

/// A text on one line, without anything that breaks out of it, and no longer than it should be.
pub(crate) fn line(text: &str, most: usize) -> String {
    let mut out: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    if text.chars().count() > most {
        out.pop();
        out.push('…');
    }
    out
}

fn text<'a>(body: &'a Value, pointer: &str) -> &'a str {
    body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Numbers and texts alike.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

impl Headline {
    /// Of a message.
    pub(crate) fn of(message: &Message) -> Self {
        let body = &message.event.body;
        let mut headline = match text(body, "/detail-type") {
            "Inspector2 Finding" => finding(body),
            "Lestrade Vulnerability Summary" => summary(body),
            "Lestrade Digest" => digest(body),
            other => Self { title: other.to_owned(), facts: Vec::new(), severity: String::new(), closed: false },
        };
        headline.facts.push(("Account", format!("{} {}", text(body, "/account"), text(body, "/region"))));
        if let Some(open) = message.event.open {
            headline.facts.push(("Open now", open.to_string()));
        }
        if message.repeated {
            headline.title = format!("(repeated) {}", headline.title);
        }
        if let Some(words) = &message.words {
            // The rule's own words are the title; what belongs to an event stays with it.
            headline.title = line(words.lines().next().unwrap_or_default(), MAX_TITLE);
        }
        headline.title = line(&headline.title, MAX_TITLE);
        headline.facts.retain(|(_, value)| !value.trim().is_empty());
        headline
    }

    /// The lines below the title: the rule's own further words, or the facts.
    pub(crate) fn text(&self, message: &Message) -> String {
        match &message.words {
            Some(words) => words.lines().skip(1).collect::<Vec<_>>().join("\n"),
            None => self.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n"),
        }
    }
}

fn finding(body: &Value) -> Headline {
    let detail = &body["detail"];
    let severity = text(detail, "/severity").to_owned();
    let status = text(detail, "/status");
    let id = text(detail, "/packageVulnerabilityDetails/vulnerabilityId");
    let packages =
        detail.pointer("/packageVulnerabilityDetails/vulnerablePackages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut names: Vec<String> = packages
        .iter()
        .take(MAX_PACKAGES)
        .map(|package| {
            let fixed = text(package, "/fixedInVersion");
            let fix = if fixed.is_empty() || fixed == "NotAvailable" { String::new() } else { format!(" → {fixed}") };
            format!("{} {}{fix}", text(package, "/name"), text(package, "/version"))
        })
        .collect();
    if packages.len() > MAX_PACKAGES {
        names.push(format!("and {} more", packages.len() - MAX_PACKAGES));
    }
    let exploited = text(detail, "/exploitAvailable") == "YES";
    Headline {
        title: format!("{severity} {id} {} on {}", status.to_lowercase(), text(body, "/resources/0")),
        facts: vec![
            ("What", text(detail, "/title").to_owned()),
            ("Packages", names.join(", ")),
            ("Score", shown(&detail["inspectorScore"])),
            ("EPSS", shown(&detail["epss"]["score"])),
            ("Exploited", if exploited { "in the wild".into() } else { String::new() }),
            ("Finding", text(detail, "/findingArn").to_owned()),
        ],
        severity,
        closed: status == "CLOSED",
    }
}

fn counts(value: &Value) -> String {
    let pairs = value.as_object().into_iter().flatten().map(|(name, count)| format!("{count} {}", name.to_lowercase()));
    pairs.collect::<Vec<_>>().join(", ")
}

fn resources(body: &Value) -> String {
    let named = body["resources"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
    named.join(", ")
}

fn summary(body: &Value) -> Headline {
    let detail = &body["detail"];
    let severity = text(detail, "/severity").to_owned();
    let changed = text(detail, "/change").to_lowercase();
    Headline {
        title: format!("{severity} {} {changed} on {} resources at once", text(detail, "/vulnerabilityId"), shown(&detail["findings"])),
        facts: vec![
            ("What", text(detail, "/title").to_owned()),
            ("By kind", counts(&detail["resourceTypes"])),
            ("Among them", resources(body)),
        ],
        severity,
        closed: changed == "closed",
    }
}

fn digest(body: &Value) -> Headline {
    let detail = &body["detail"];
    let severities = detail["severities"].as_object();
    let worst = ["CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL"]
        .into_iter()
        .find(|word| severities.is_some_and(|all| all.contains_key(*word)));
    Headline {
        title: format!("{}: {} more changes since {}", text(detail, "/vulnerabilityId"), shown(&detail["held"]), text(detail, "/from")),
        facts: vec![("Changes", counts(&detail["statuses"])), ("Severity", counts(&detail["severities"])), ("Among them", resources(body))],
        severity: worst.unwrap_or_default().to_owned(),
        closed: false,
    }
}
