//! `lestrade suppress`: what is accepted, by whom, why and until when.

use super::columns::columns;
use super::exceptions::end_of;
use crate::args::{NewRule, SuppressWhat};
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::remote::{Remote, part};
use lestrade_report::{json_text, printable};
use serde_json::{Value, json};
use std::fmt::Write;

pub(crate) fn run(settings: &Settings, what: &SuppressWhat) -> Result<Exit, Failure> {
    let remote = Remote::of(settings)?;
    match what {
        SuppressWhat::Create(rule) => create(&remote, rule),
        SuppressWhat::List(arguments) => list(&remote, arguments.json),
        SuppressWhat::Remove { name } => {
            remote.remove(&format!("suppressions/{}", part(name)), &[])?;
            output::write(None, &format!("'{}' is removed: what it suppressed is active\n", printable(name)))?;
            Ok(Exit::Ok)
        }
    }
}

fn create(remote: &Remote, rule: &NewRule) -> Result<Exit, Failure> {
    let wrong = |what: &str, try_: &str| Failure::new("E0217", Exit::Usage, what).try_(try_);
    let expires = end_of(&rule.expires).ok_or_else(|| wrong("its end is no date", "--expires 2027-01-31"))?;
    let owner = rule.owner.clone().or_else(|| std::env::var("USER").ok()).filter(|owner| !owner.is_empty());
    let owner = owner.ok_or_else(|| wrong("nobody is named who answers for it", "--owner NAME"))?;
    let mut criteria = match rule.criteria.as_deref().map(serde_json::from_str::<Value>) {
        None => json!({}),
        Some(Ok(Value::Object(criteria))) => Value::Object(criteria),
        Some(_) => {
            return Err(wrong(
                "the criteria are no JSON object",
                r#"--criteria '{"ecrImageTags": [{"comparison": "EQUALS", "value": "old"}]}'"#,
            ));
        }
    };
    let equals = |values: &[String]| -> Value { values.iter().map(|value| json!({"comparison": "EQUALS", "value": value})).collect() };
    let severities: Vec<String> = rule.severity.iter().map(|severity| severity.0.as_str().to_owned()).collect();
    for (member, values) in [
        ("vulnerabilityId", &rule.vulnerability),
        ("resourceId", &rule.resource),
        ("ecrImageRepositoryName", &rule.repository),
        ("severity", &severities),
    ] {
        if !values.is_empty() {
            criteria[member] = equals(values);
        }
    }
    if !rule.package.is_empty() {
        criteria["vulnerablePackages"] = rule.package.iter().map(|name| json!({"name": {"comparison": "EQUALS", "value": name}})).collect();
    }
    if criteria.as_object().is_some_and(serde_json::Map::is_empty) {
        return Err(wrong("nothing is named, so it would suppress everything", "--vulnerability CVE-2024-1"));
    }
    let made = remote.send(
        "suppressions",
        &json!({"name": rule.name, "reason": rule.reason, "owner": owner, "expires": expires.to_string(), "criteria": criteria}),
    )?;
    let name = printable(made["name"].as_str().unwrap_or_default()).into_owned();
    output::write(None, &format!("'{name}' is in force until {expires}\n"))?;
    Ok(Exit::Ok)
}

fn list(remote: &Remote, as_json: bool) -> Result<Exit, Failure> {
    let answer = remote.get("suppressions", &[])?;
    if as_json {
        output::write(None, &json_text(&answer))?;
        return Ok(Exit::Ok);
    }
    let rules = answer["suppressions"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |rule: &Value, name: &str, absent: &str| rule[name].as_str().unwrap_or(absent).to_owned();
    let of = |rule: &Value| {
        let state = if rule["inForce"] == true { "in force" } else { "ended" };
        vec![text(rule, "name", ""), state.to_owned(), text(rule, "expires", "never"), text(rule, "owner", "–"), text(rule, "reason", "–")]
    };
    let in_force = rules.iter().filter(|rule| rule["inForce"] == true).count();
    let mut out = format!("{} suppression rules, {in_force} in force\n", rules.len());
    if !rules.is_empty() {
        let table: Vec<Vec<String>> = rules.iter().map(of).collect();
        let _ = write!(out, "\n{}", columns(&["NAME", "STATE", "UNTIL", "OWNER", "REASON"], &table, &[4, 0, 3], output::width()));
    }
    output::write(None, &out)?;
    Ok(Exit::Ok)
}
