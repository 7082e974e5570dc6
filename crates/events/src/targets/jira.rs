//! Jira: one ticket for a vulnerability, or for a fix, in an account; never one for a row.
//!
//! A ticket is created with the first open finding, kept up to date as their number grows or shrinks, resolved when the last one
//! closes and opened again when one comes back. Which ticket is whose is noted; should a crash fall between Jira's answer and the
//! note, the ticket is found again by its label. Jira's search may lag behind by seconds: within that time a crash can make a
//! second ticket, and no other way.

use crate::headline::{Headline, line};
use crate::http::{Answer, Http, exchange};
use crate::{DeliveryError, Message, Notes, Secret, Sent, Surroundings, Target, TargetRecord};
use lestrade_model::Hash;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// The longest summary that Jira takes.
const MAX_SUMMARY: usize = 250;
/// Vulnerabilities of one fix that a ticket lists.
const MAX_LISTED: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The site: `https://example.atlassian.net`, or a server's address.
    url: String,
    /// The project's key.
    project: String,
    /// Where the API token (with `user`: Jira Cloud) or the personal access token (without: Data Center) is kept.
    token: String,
    #[serde(default)]
    user: Option<String>,
    #[serde(default = "bug", rename = "issue-type")]
    issue_type: String,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    per: Per,
    /// The transitions' names; without them the first one that leads to a status of the category is taken.
    #[serde(default, rename = "resolve-transition")]
    resolve: Option<String>,
    #[serde(default, rename = "reopen-transition")]
    reopen: Option<String>,
}

fn bug() -> String {
    "Bug".into()
}

/// What one ticket is for.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Per {
    #[default]
    Vulnerability,
    /// A package and the version that fixes it.
    Fix,
}

struct Jira {
    name: String,
    site: Url,
    http: Http,
    token: Secret,
    notes: Arc<dyn Notes>,
    options: Options,
}

/// What is noted of a ticket.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Ticket {
    /// Its key; none before it was created.
    key: Option<String>,
    /// Open findings of each vulnerability that it is about.
    open: BTreeMap<String, u64>,
    /// What the ticket says: the vulnerabilities, and how many findings were open when it was last written.
    written: (Vec<String>, u64),
    resolved: bool,
}

impl Ticket {
    fn count(&self) -> u64 {
        self.open.values().sum()
    }

    fn vulnerabilities(&self) -> Vec<String> {
        self.open.iter().filter(|(_, count)| **count > 0).map(|(id, _)| id.clone()).collect()
    }

    /// Whether what it says is so far from what is that it is worth an update: other vulnerabilities, or twice or half as many.
    fn is_stale(&self) -> bool {
        let (said, now) = (self.written.1.max(1), self.count().max(1));
        self.written.0 != self.vulnerabilities() || now >= said.saturating_mul(2) || now.saturating_mul(2) <= said
    }
}

pub(crate) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let fault = |reason: String| DeliveryError::unusable(&record.name, reason);
    let options: Options = record.options()?;
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if options.project.is_empty() || !options.project.chars().all(in_word) {
        return Err(fault("project: a key is letters, digits and '_'".into()));
    }
    let mut site = surroundings.egress.url(&options.url).map_err(fault)?;
    if !site.path().ends_with('/') {
        let path = format!("{}/", site.path());
        site.set_path(&path);
    }
    Ok(Box::new(Jira {
        name: record.name.clone(),
        site,
        http: Http::new(surroundings.egress).map_err(fault)?,
        token: record.secret("token", &options.token, surroundings)?,
        notes: Arc::clone(&surroundings.notes),
        options,
    }))
}

/// What tells one group's ticket from all others, in Jira and in the notes.
fn label(fields: &[&str]) -> String {
    let hash = Hash::of_fields(fields.iter().map(|field| field.as_bytes()));
    format!("lestrade-{}", hash.to_string().chars().take(24).collect::<String>())
}

impl Jira {
    fn call(&self, method: Method, path: &str, query: &[(&str, &str)], body: Option<&Value>) -> Result<Answer, DeliveryError> {
        let mut url = self.site.join(path).map_err(|_| DeliveryError::Refused("no such path".into()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url).header("accept", "application/json");
        request = match &self.options.user {
            Some(user) => request.basic_auth(user, Some(self.token.expose())),
            None => request.bearer_auth(self.token.expose()),
        };
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        exchange(request)
    }

    /// The group of an event: its label, and what the ticket is called.
    fn group(&self, message: &Message, subject: &str) -> (String, String) {
        let event = &message.event;
        let (account, region) = (event.text("/account"), event.text("/region"));
        let package = event.body.pointer("/detail/packageVulnerabilityDetails/vulnerablePackages/0").unwrap_or(&Value::Null);
        let text = |name: &str| package[name].as_str().unwrap_or_default();
        match self.options.per {
            Per::Fix if !matches!(text("fixedInVersion"), "" | "NotAvailable") => {
                let fields = [account, region, text("packageManager"), text("name"), text("fixedInVersion")];
                (label(&fields), format!("Update {} to {}", text("name"), text("fixedInVersion")))
            }
            _ => (label(&[account, region, subject]), Headline::of(message).title),
        }
    }

    fn send(&self, message: &Message) -> Sent {
        let event = &message.event;
        let (Some(vulnerability), Some(open)) = (event.vulnerability(), event.open) else {
            return Err(DeliveryError::Refused("it is about no vulnerability: nothing to make a ticket of".into()));
        };
        // A ticket is found by the first name of what it is about, and shows the present one.
        let subject = event.subject().unwrap_or(vulnerability);
        let (group, title) = self.group(message, subject);
        let belongs = |subject: &str| format!("group/{}", label(&[event.text("/account"), event.text("/region"), subject]));
        // An advisory that names another fix moves its vulnerability to another ticket.
        if let Some(before) = self.notes.note(&belongs(subject))?.filter(|before| *before != group) {
            self.keep(&before, &title, message, vulnerability, 0)?;
        }
        // What was merged into this one will not be heard of again.
        for merged in &event.names.merged {
            if let Some(before) = self.notes.note(&belongs(merged))?.filter(|before| !before.is_empty()) {
                self.keep(&before, &title, message, merged, 0)?;
                self.notes.set_note(&belongs(merged), "")?;
            }
        }
        self.keep(&group, &title, message, vulnerability, open)?;
        self.notes.set_note(&belongs(subject), &group)
    }

    /// Brings one ticket to what is.
    fn keep(&self, group: &str, title: &str, message: &Message, vulnerability: &str, open: u64) -> Sent {
        let noted = self.notes.note(group)?;
        let mut ticket: Ticket = noted.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        for former in &message.event.names.formerly {
            ticket.open.remove(former);
        }
        ticket.open.insert(vulnerability.to_owned(), open);
        if ticket.key.is_none() {
            if ticket.count() == 0 {
                return Ok(());
            }
            ticket.key = self.find(group)?;
        }
        let over = ticket.count() == 0;
        match &ticket.key {
            None => {
                ticket.key = Some(self.create(group, title, message, &ticket)?);
                ticket.written = (ticket.vulnerabilities(), ticket.count());
            }
            Some(key) => {
                if over != ticket.resolved {
                    let (wanted, category) = if over { (&self.options.resolve, "done") } else { (&self.options.reopen, "new") };
                    self.transition(key, wanted.as_deref(), category)?;
                    ticket.resolved = over;
                }
                if !over && ticket.is_stale() {
                    let fields = json!({"fields": {"description": description(message, &ticket)}});
                    self.call(Method::PUT, &format!("rest/api/2/issue/{key}"), &[], Some(&fields))?.taken()?;
                    ticket.written = (ticket.vulnerabilities(), ticket.count());
                }
            }
        }
        let text = serde_json::to_string(&ticket).map_err(|error| DeliveryError::Refused(error.to_string()))?;
        self.notes.set_note(group, &text)
    }

    /// The ticket that a crash kept us from noting.
    fn find(&self, group: &str) -> Result<Option<String>, DeliveryError> {
        let jql = format!("project = \"{}\" AND labels = \"{group}\" ORDER BY created ASC", self.options.project);
        // Cloud's search moved in 2025; Data Center's stayed.
        let path = if self.options.user.is_some() { "rest/api/2/search/jql" } else { "rest/api/2/search" };
        let answer = self.call(Method::GET, path, &[("jql", &jql), ("maxResults", "1"), ("fields", "status")], None)?;
        answer.taken()?;
        Ok(answer.json().pointer("/issues/0/key").and_then(Value::as_str).and_then(issue_key))
    }

    fn create(&self, group: &str, title: &str, message: &Message, ticket: &Ticket) -> Result<String, DeliveryError> {
        let mut labels = self.options.labels.clone();
        labels.extend(["lestrade".to_owned(), group.to_owned()]);
        let body = json!({"fields": {
            "project": {"key": self.options.project},
            "issuetype": {"name": self.options.issue_type},
            "summary": line(title, MAX_SUMMARY),
            "description": description(message, ticket),
            "labels": labels,
        }});
        let answer = self.call(Method::POST, "rest/api/2/issue", &[], Some(&body))?;
        answer.taken()?;
        let key = answer.json()["key"].as_str().and_then(issue_key);
        key.ok_or_else(|| DeliveryError::retry("the answer names no ticket"))
    }

    /// Takes a ticket along a transition: the one of that name, or the first that leads to a status of that category.
    fn transition(&self, key: &str, wanted: Option<&str>, category: &str) -> Sent {
        let path = format!("rest/api/2/issue/{key}/transitions");
        let answer = self.call(Method::GET, &path, &[], None)?;
        if answer.status == 404 {
            // Somebody deleted the ticket: there is nothing to move.
            return Ok(());
        }
        answer.taken()?;
        let listed = answer.json();
        let transitions = listed["transitions"].as_array().map_or(&[][..], Vec::as_slice);
        let fits = |transition: &&Value| match wanted {
            Some(name) => transition["name"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(name)),
            None => {
                let leads = transition.pointer("/to/statusCategory/key").and_then(Value::as_str).unwrap_or_default();
                leads == category || (category == "new" && leads == "indeterminate")
            }
        };
        match transitions.iter().find(fits).and_then(|transition| transition["id"].as_str()) {
            Some(id) => self.call(Method::POST, &path, &[], Some(&json!({"transition": {"id": id}})))?.taken(),
            // A person may have moved it already; a workflow without such a step is not ours to judge.
            None if transitions.is_empty() || wanted.is_none() => Ok(()),
            None => Err(DeliveryError::Refused(format!("{key} has no transition '{}'", wanted.unwrap_or_default()))),
        }
    }
}

/// A key as Jira writes them: it goes into paths.
fn issue_key(text: &str) -> Option<String> {
    let (project, number) = text.split_once('-')?;
    let fine = !project.is_empty()
        && project.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit());
    fine.then(|| text.to_owned())
}

fn description(message: &Message, ticket: &Ticket) -> String {
    let headline = Headline::of(message);
    let mut vulnerabilities = ticket.vulnerabilities();
    let more = vulnerabilities.len().saturating_sub(MAX_LISTED);
    vulnerabilities.truncate(MAX_LISTED);
    let mut lines = vec![format!("{} open findings", ticket.count()), format!("Vulnerabilities: {}", vulnerabilities.join(", "))];
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.push(String::new());
    // {noformat}: what comes from outside is shown as it is and makes no markup.
    lines.push(format!("{{noformat}}\n{}\n{{noformat}}", headline.text(message).replace("{noformat}", "{ noformat }")));
    lines.join("\n")
}

impl Target for Jira {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        messages.iter().map(|message| self.send(message)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_go_into_paths() {
        assert_eq!(issue_key("SEC-12").as_deref(), Some("SEC-12"));
        for wrong in ["", "SEC", "SEC-", "-1", "SEC-1/../x", "../SEC-1", "SEC-1?x"] {
            assert_eq!(issue_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_ticket_is_written_again_when_it_is_far_from_what_is() {
        let mut ticket = Ticket { written: (vec!["CVE-1".into()], 100), ..Ticket::default() };
        for (count, stale) in [(100, false), (199, false), (200, true), (51, false), (50, true)] {
            ticket.open.insert("CVE-1".into(), count);
            assert_eq!(ticket.is_stale(), stale, "{count}");
        }
        ticket.open = [("CVE-1".to_owned(), 60), ("CVE-2".to_owned(), 40)].into();
        assert!(ticket.is_stale(), "another vulnerability");
    }
}
