//! `lestrade rules`: patterns and rules, tried on events.

use crate::lab::Lab;
use serde_json::json;

const RULES: &str = r#"
[[target]]
name = "on-call"
kind = "slack"
url = "env:SLACK_URL"

[[target]]
name = "file"
kind = "json-lines"
path = "events.jsonl"

[[rule]]
name = "exploited"
description = "What is known to be exploited goes to who is on call."
targets = ["on-call"]
paths = { id = "$.detail.packageVulnerabilityDetails.vulnerabilityId", who = "$.resources[0]" }
template = '"<id> is exploited and on <who>"'
[rule.pattern.detail]
exploitAvailable = ["YES"]

[[rule]]
name = "archive"
pattern = '{"source": ["lestrade"]}'
targets = ["file"]
"#;

#[test]
fn rules_are_tried_before_they_act() {
    let lab = Lab::new();
    let event = |id: &str, exploited: &str| {
        json!({"id": id, "source": "lestrade", "detail-type": "Inspector2 Finding", "resources": ["i-web"], "detail": {"exploitAvailable": exploited,
            "severity": "HIGH", "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-2021-44228"}}})
    };
    let write = |name: &str, text: String| std::fs::write(lab.path(name), text).unwrap();
    write("rules.toml", RULES.into());
    write("events.jsonl", format!("{}\n{}\n", event("1", "YES"), event("2", "NO")));
    write("pattern.json", json!({"detail": {"severity": ["HIGH"], "exploitAvailable": ["YES"]}}).to_string());
    write("wrong.json", json!({"detail": {"severity": "HIGH"}}).to_string());
    write("wrong.toml", RULES.replace("targets = [\"file\"]", "targets = []"));
    insta::assert_snapshot!(
        [
            lab.transcript(&["rules", "list", "rules.toml"]),
            lab.transcript(&["rules", "dry-run", "rules.toml", "events.jsonl"]),
            lab.transcript(&["rules", "test", "pattern.json", "events.jsonl"]),
            lab.transcript(&["rules", "test", "wrong.json", "events.jsonl"]),
            lab.transcript(&["rules", "list", "wrong.toml"]),
            lab.transcript(&["rules", "dry-run", "nowhere", "events.jsonl"]),
        ]
        .join("\n")
    );
}
