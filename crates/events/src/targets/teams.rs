//! Microsoft Teams, by a workflow that takes adaptive cards.

use super::chat;
use crate::headline::{Headline, line};
use crate::{DeliveryError, Message, Surroundings, Target, TargetRecord};
use serde_json::{Value, json};

/// A card is refused above 28 KB: what is said stays far below.
const MAX_VALUE: usize = 1_000;

pub(crate) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    chat::open(record, surroundings, card)
}

/// Text blocks know a little Markdown: what comes from outside is not to use it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '[' | ']' | '*' | '_' | '`' | '<' | '>' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn card(message: &Message) -> Value {
    let headline = Headline::of(message);
    let color = match (headline.closed, headline.severity.as_str()) {
        (true, _) => "Good",
        (_, "CRITICAL" | "HIGH") => "Attention",
        (_, "MEDIUM") => "Warning",
        _ => "Default",
    };
    let mut body = vec![json!({"type": "TextBlock", "text": escaped(&headline.title), "weight": "Bolder", "wrap": true, "color": color})];
    if message.words.is_some() {
        let text: String = headline.text(message).chars().take(10 * MAX_VALUE).collect();
        body.push(json!({"type": "TextBlock", "text": escaped(&text), "wrap": true}));
    } else {
        let facts = headline.facts.iter().map(|(name, value)| json!({"title": name, "value": escaped(&line(value, MAX_VALUE))}));
        body.push(json!({"type": "FactSet", "facts": facts.collect::<Vec<_>>()}));
    }
    json!({"type": "message", "attachments": [{
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": null,
        "content": {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": body,
        },
    }]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Names};

    #[test]
    fn a_card_shows_facts_as_text() {
        let event = json!({"detail-type": "Inspector2 Finding", "resources": ["i-1"], "account": "1", "region": "r",
            "detail": {"severity": "CRITICAL", "status": "CLOSED", "title": "[click](http://evil)", "packageVulnerabilityDetails": {"vulnerabilityId": "CVE-1"}}});
        let card = card(&Message::plain(Event { id: "1".into(), revision: 1, body: event, open: None, names: Names::default() }));
        let body = &card["attachments"][0]["content"]["body"];
        assert_eq!(body[0]["text"], "CRITICAL CVE-1 closed on i-1");
        assert_eq!(body[0]["color"], "Good");
        assert_eq!(body[1]["facts"][0]["value"], "\\[click\\](http://evil)");
    }
}
