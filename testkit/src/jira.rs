//! A Jira that tests file tickets with.

use crate::{Asked, Reply};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A Jira that keeps tickets, by the documented REST calls; everything else is a mistake.
#[derive(Debug, Default)]
pub struct JiraSite {
    /// Fields, by key.
    pub tickets: BTreeMap<String, Value>,
    /// The category of the status, by key: `new`, `done`.
    pub status: BTreeMap<String, &'static str>,
    /// What was asked that the documentation does not have.
    pub mistakes: Vec<String>,
    /// Creates the ticket and then answers nothing, so many times.
    pub drop_answers: usize,
    /// What callers must send as `authorization`.
    pub authorization: &'static str,
}

impl JiraSite {
    /// Answers a request.
    pub fn reply(&mut self, asked: &Asked) -> Reply {
        if asked.headers.get("authorization").map(String::as_str) != Some(self.authorization) {
            return Reply::status(401);
        }
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let parts: Vec<&str> = path.trim_start_matches("/rest/api/2/").split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("GET", ["search", "jql"]) => {
                let label = query.split("labels+%3D+%22").nth(1).and_then(|rest| rest.split("%22").next()).unwrap_or_default().to_owned();
                let found: Vec<Value> = self
                    .tickets
                    .iter()
                    .filter(|(_, fields)| fields["labels"].as_array().into_iter().flatten().any(|l| l == label.as_str()))
                    .map(|(key, _)| json!({"key": key}))
                    .collect();
                Reply::json(200, &json!({"issues": found, "isLast": true}))
            }
            ("POST", ["issue"]) => {
                let fields = asked.json()["fields"].clone();
                for needed in ["project", "issuetype", "summary", "description", "labels"] {
                    if fields[needed].is_null() {
                        self.mistakes.push(format!("a ticket without {needed}"));
                    }
                }
                let key = format!("SEC-{}", self.tickets.len() + 1);
                self.tickets.insert(key.clone(), fields);
                self.status.insert(key.clone(), "new");
                if self.drop_answers > 0 {
                    self.drop_answers -= 1;
                    return Reply::HangUp;
                }
                Reply::json(201, &json!({"id": "1", "key": key}))
            }
            ("PUT", ["issue", key]) => match self.tickets.get_mut(*key) {
                Some(fields) => {
                    fields["description"] = asked.json()["fields"]["description"].clone();
                    Reply::status(204)
                }
                None => Reply::status(404),
            },
            ("GET", ["issue", key, "transitions"]) => {
                let all = [("11", "Back", "new"), ("31", "Done", "done")];
                let Some(now) = self.status.get(*key).copied() else { return Reply::status(404) };
                let open: Vec<Value> = all
                    .iter()
                    .filter(|(_, _, category)| *category != now)
                    .map(|(id, name, category)| json!({"id": id, "name": name, "to": {"statusCategory": {"key": category}}}))
                    .collect();
                Reply::json(200, &json!({"transitions": open}))
            }
            ("POST", ["issue", key, "transitions"]) => {
                let to = if asked.json()["transition"]["id"] == "31" { "done" } else { "new" };
                self.status.insert((*key).to_owned(), to);
                Reply::status(204)
            }
            other => {
                self.mistakes.push(format!("{other:?}"));
                Reply::status(405)
            }
        }
    }
}
