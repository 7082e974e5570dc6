//! Messages by template: Jinja's language, without files, with an end.
//!
//! The event's members are at hand by name (`detail`, `account`, `region`, `resources`, `time`), its `detail-type` as `type`, the
//! whole as `event`, the rule's name as `rule`. What is not there is nothing. Nothing can be included, the work is bounded by
//! fuel and the text by its size.

use minijinja::value::{Serde, Value as Jinja};
use minijinja::{AutoEscape, Environment};
use serde_json::Value;
use std::sync::Arc;

/// Steps of one rendering: a loop over a finding's hundred packages takes a few thousand.
const FUEL: u64 = 100_000;
/// The largest text.
const MAX_TEXT: usize = 64 << 10;
/// The largest template.
const MAX_TEMPLATE: usize = 16 << 10;

/// A template.
#[derive(Clone, Debug)]
pub struct Template {
    environment: Arc<Environment<'static>>,
}

impl Template {
    /// Compiles one.
    ///
    /// # Errors
    /// One clause: what is wrong, and in which line.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() || text.len() > MAX_TEMPLATE {
            return Err(format!("a message has 1 to {MAX_TEMPLATE} characters"));
        }
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        let fault = |error: minijinja::Error| {
            let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
            format!("{line}{}", error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))
        };
        environment.add_template_owned("message", text.to_owned()).map_err(fault)?;
        Ok(Self { environment: Arc::new(environment) })
    }

    /// The text for an event.
    ///
    /// # Errors
    /// When the template goes wrong on this event, or says too much.
    pub fn render(&self, event: &Value, rule: &str) -> Result<String, String> {
        let mut members: Vec<(String, Jinja)> = vec![
            ("event".into(), Jinja::from(Serde(event))),
            ("type".into(), Jinja::from(Serde(&event["detail-type"]))),
            ("rule".into(), Jinja::from(rule)),
        ];
        for (name, value) in event.as_object().into_iter().flatten() {
            members.push((name.clone(), Jinja::from(Serde(value))));
        }
        let mut out = Bounded(Vec::new());
        let template = self.environment.get_template("message").map_err(|error| error.kind().to_string())?;
        let rendered = template.render_captured_to(Jinja::from_pairs(members), &mut out).map(|_| ());
        rendered.map_err(|error| match error.kind() {
            minijinja::ErrorKind::OutOfFuel => "it takes too many steps".into(),
            minijinja::ErrorKind::WriteFailure => format!("it says more than {MAX_TEXT} characters"),
            kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
        })?;
        String::from_utf8(out.0).map_err(|_| "its text is no UTF-8".into())
    }
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT {
            return Err(std::io::Error::other("too much"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event() -> Value {
        json!({"detail-type": "Inspector2 Finding", "account": "1", "resources": ["i-1"],
            "detail": {"severity": "HIGH", "packages": [{"name": "a"}, {"name": "<b>"}]}})
    }

    #[test]
    fn an_event_in_other_words() {
        let template = Template::new(
            "{{ rule }}: {{ detail.severity|lower }} {{ type }} {% for p in detail.packages %}[{{ p.name }}]{% endfor %}{{ detail.gone.x }}",
        );
        // What is missing is nothing; what is missing of what is missing is a mistake of the template.
        assert!(template.unwrap().render(&event(), "r").is_err());
        let template = Template::new(
            "{{ rule }}: {{ detail.severity|lower }} {{ type }} {% for p in detail.packages %}[{{ p.name }}]{% endfor %}{{ detail.gone }}",
        );
        assert_eq!(template.unwrap().render(&event(), "r").unwrap(), "r: high Inspector2 Finding [a][<b>]");
    }

    #[test]
    fn a_template_ends_and_reads_no_files() {
        for endless in [
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "{% for a in range(9999) %}{{ 'x' * 1000 }}{% endfor %}",
        ] {
            if let Ok(template) = Template::new(endless) {
                assert!(template.render(&event(), "r").is_err(), "{endless}");
            }
        }
        for wrong in ["", "{{ a", "{% if %}", "{{ a|nonexistent }}", "{% include '/etc/passwd' %}"] {
            let template = Template::new(wrong);
            assert!(template.is_err() || template.is_ok_and(|t| t.render(&event(), "r").is_err()), "{wrong}");
        }
    }
}
