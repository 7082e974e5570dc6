//! What several extractors read: JSON, YAML, TOML and XML documents within bounds, and the entries that most of them find.

use crate::{ExtractError, Found, InventorySink, Origin, WantedFile};
use lestrade_model::{Family, Manager};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How deep elements may lie in one another, and how many there may be, each attribute counted as one.
const MAX_DEPTH: usize = 128;
const MAX_ELEMENTS: usize = 1 << 18;

/// A language's package, as most lock files have it.
pub(super) fn package(family: Family, manager: Manager, name: &str, version: &str) -> Found {
    Found {
        origin: Origin::Language(family),
        name: name.to_owned(),
        version: version.to_owned(),
        source: None,
        arch: None,
        module: None,
        manager,
    }
}

/// Says that an entry lacks a name or a version.
pub(super) fn nameless(out: &mut dyn InventorySink) {
    out.problem(ExtractError::Malformed("a package has no name or no version".into()));
}

/// The name of the file itself.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Reads a JSON document; its depth is bounded by the parser.
pub(super) fn json<T: DeserializeOwned>(file: &WantedFile<'_>) -> Result<T, ExtractError> {
    serde_json::from_str(&file.text()).map_err(|error| ExtractError::json(&error))
}

/// A member of a JSON object that is text and not empty.
pub(super) fn member<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Reads all documents of a YAML stream. Scalars are taken as they are written where text is asked for; aliases, depth and
/// counts are bounded by the parser.
pub(super) fn yaml<T: DeserializeOwned>(file: &WantedFile<'_>) -> Result<Vec<T>, ExtractError> {
    serde_saphyr::from_multiple(&file.text()).map_err(|error| {
        let reason = error.to_string();
        let line: String = reason.lines().next().unwrap_or_default().chars().take(160).collect();
        ExtractError::Malformed(format!("not the YAML that it should be ({line})"))
    })
}

/// Reads a TOML document.
pub(super) fn table(file: &WantedFile<'_>) -> Result<toml::Table, ExtractError> {
    file.text().parse().map_err(|error: toml::de::Error| {
        ExtractError::Malformed(format!("not valid TOML ({})", error.message().lines().next().unwrap_or_default()))
    })
}

/// A member of a TOML table that is text.
pub(super) fn text<'a>(table: &'a toml::Value, key: &str) -> Option<&'a str> {
    table.get(key).and_then(toml::Value::as_str)
}

/// An XML element without its namespace.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    /// Its text without that of its children, trimmed.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The first child of a name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All children of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first child of a name, if there is any.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    }

    /// An attribute, trimmed, if there is any; XML that people write by hand spells them in either case.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }
}

/// Reads an XML document into its root element. No entity but XML's own five is expanded: what another stands for stays out.
pub(super) fn xml(file: &WantedFile<'_>) -> Result<Element, ExtractError> {
    let malformed = |error: &dyn std::fmt::Display| ExtractError::Malformed(format!("not well-formed XML ({error})"));
    let text = file.text();
    let mut reader = Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    // The elements that are open; the first is the document.
    let mut open = vec![Element::default()];
    let mut count = 0_usize;
    loop {
        let event = reader.read_event().map_err(|error| malformed(&error))?;
        let depth = open.len();
        let Some(top) = open.last_mut() else { break };
        match event {
            Event::Start(start) => {
                count += 1 + start.attributes().with_checks(false).take(MAX_ELEMENTS).count();
                if depth > MAX_DEPTH || count > MAX_ELEMENTS {
                    return Err(ExtractError::Malformed("its elements or attributes are too many or too deep".into()));
                }
                open.push(element(&start));
            }
            Event::End(_) => {
                top.text = top.text.trim().to_owned();
                if let Some(done) = open.pop()
                    && let Some(parent) = open.last_mut()
                {
                    parent.children.push(done);
                }
            }
            Event::Text(part) => top.text.push_str(&part.xml10_content()),
            Event::CData(part) => top.text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(c)) => top.text.push(c),
                _ => top.text.push_str(resolve_predefined_entity(&reference).unwrap_or_default()),
            },
            Event::DocType(declared) if declared.xml10_content().contains("<!ENTITY") => {
                // They are never expanded, so what they stand for would be missing unsaid.
                return Err(ExtractError::Unsupported("XML that declares entities of its own".into()));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    let mut document = open.drain(..1).next().unwrap_or_default();
    match (open.is_empty(), document.children.is_empty()) {
        (false, _) | (true, true) => Err(ExtractError::Truncated("the XML ends before its elements do".into())),
        (true, false) => Ok(document.children.swap_remove(0)),
    }
}

fn element(start: &BytesStart<'_>) -> Element {
    let name = start.local_name().as_ref().to_owned();
    let attributes = start.attributes().flatten().map(|attribute| {
        let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
        (attribute.key.local_name().as_ref().to_owned(), value.map(std::borrow::Cow::into_owned).unwrap_or_default())
    });
    Element { attributes: attributes.collect(), name, ..Element::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Element, ExtractError> {
        xml(&WantedFile { path: "x", content: text.as_bytes() })
    }

    #[test]
    fn xml_is_read_without_namespaces_and_entities() {
        let root = parse("<?xml version='1.0'?><!DOCTYPE a><m:a x=' 1 '><b>&lt;&e;c<!-- no --></b><b/></m:a>").unwrap();
        assert_eq!((root.name.as_str(), root.attribute("X"), root.value("b")), ("a", Some("1"), Some("<c")));
        assert_eq!(root.all("b").count(), 2);
        assert!(matches!(parse("<!DOCTYPE a [<!ENTITY e 'boom'>]><a>&e;</a>"), Err(ExtractError::Unsupported(_))));
    }

    #[test]
    fn xml_that_is_cut_or_deep_is_refused() {
        for cut in ["", "<a>", "<a><b></b>", "<?xml version='1.0'?>"] {
            assert!(matches!(parse(cut), Err(ExtractError::Truncated(_))), "{cut}");
        }
        assert!(matches!(parse(&"<a>".repeat(200_000)), Err(ExtractError::Malformed(_))));
        assert!(matches!(parse("<a></b>"), Err(ExtractError::Malformed(_))));
    }
}
