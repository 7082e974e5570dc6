//! Slack, by an incoming webhook.

use super::chat;
use crate::headline::Headline;
use crate::{DeliveryError, Message, Surroundings, Target, TargetRecord};
use serde_json::{Value, json};

/// The longest text of a section, by Slack's reference.
const MAX_SECTION: usize = 2_900;

pub(crate) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    chat::open(record, surroundings, body)
}

/// Slack's three characters: what comes from outside makes no link and calls nobody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn color(headline: &Headline) -> &'static str {
    match (headline.closed, headline.severity.as_str()) {
        (true, _) => "#2e7d32",
        (_, "CRITICAL") => "#b71c1c",
        (_, "HIGH") => "#e65100",
        (_, "MEDIUM") => "#f9a825",
        _ => "#607d8b",
    }
}

fn body(message: &Message) -> Value {
    let headline = Headline::of(message);
    let title = escaped(&headline.title);
    let text: String = escaped(&headline.text(message)).chars().take(MAX_SECTION).collect();
    let mut blocks = vec![json!({"type": "section", "text": {"type": "mrkdwn", "text": format!("*{}*", title.replace('*', "∗"))}})];
    if !text.trim().is_empty() {
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": text}}));
    }
    json!({"text": title, "attachments": [{"color": color(&headline), "fallback": title, "blocks": blocks}]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Names};

    #[test]
    fn what_comes_from_outside_makes_no_link_and_calls_nobody() {
        let event = json!({"detail-type": "Inspector2 Finding", "resources": ["<!channel>"], "account": "1", "region": "r",
            "detail": {"severity": "HIGH", "status": "ACTIVE", "title": "a <http://evil|click> & *b*",
            "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-1", "vulnerablePackages": [{"name": "x", "version": "1", "fixedInVersion": "2"}]}}});
        let message = Message::plain(Event { id: "1".into(), revision: 1, body: event, open: Some(3), names: Names::default() });
        let text = body(&message).to_string();
        assert!(!text.contains("<!channel>") && !text.contains("<http"), "{text}");
        assert!(text.contains("&lt;!channel&gt;") && text.contains("x 1 → 2") && text.contains("Open now: 3"), "{text}");
        let repeated = body(&Message { repeated: true, ..message });
        assert!(repeated["text"].as_str().unwrap().starts_with("(repeated) HIGH CVE-1 active"));
    }
}
