//! XML feeds, one element at a time: a feed of hundreds of megabytes is never a tree in memory.
//!
//! Entities other than XML's own five are refused, so nothing expands; depth and size of one element are bounded.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

/// How deep elements lie in one another, and how many one record may hold.
const MAX_DEPTH: usize = 64;
const MAX_ELEMENTS: usize = 1_000_000;

/// An element with what is in it; names without their namespaces.
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

    /// The text of the first child of a name; empty if there is none.
    pub(super) fn value(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }

    /// An attribute; empty if there is none.
    pub(super) fn attribute(&self, name: &str) -> &str {
        self.attributes.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }
}

/// The name of a document's root element.
///
/// # Errors
/// When it has none.
pub(super) fn root(text: &str) -> Result<String, String> {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event().map_err(|error| format!("not well-formed XML ({error})"))? {
            Event::Start(start) | Event::Empty(start) => return Ok(start.local_name().as_ref().to_owned()),
            Event::DocType(declared) if declared.xml10_content().contains("<!ENTITY") => {
                return Err("XML that declares entities of its own".into());
            }
            Event::Eof => return Err("XML without an element".into()),
            _ => {}
        }
    }
}

/// Calls `each` with every outermost element of one of the wanted names.
///
/// # Errors
/// When the document is not well-formed or ends before its elements do; what was read before that was handed over.
pub(super) fn each_element(text: &str, wanted: &[&str], each: &mut dyn FnMut(Element)) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut outside = 0_usize;
    // A second document behind the first is no part of it.
    let mut ended = false;
    let mut open: Vec<Element> = Vec::new();
    let mut count = 0_usize;
    loop {
        let event = reader.read_event().map_err(|error| format!("not well-formed XML ({error})"))?;
        match event {
            Event::Start(_) if ended => return Err("it goes on after its end".into()),
            Event::Text(part) if ended && !part.xml10_content().trim().is_empty() => return Err("it goes on after its end".into()),
            Event::Start(start) if open.is_empty() && !wanted.contains(&start.local_name().as_ref()) => {
                outside += 1;
                if outside > MAX_DEPTH {
                    return Err("its elements are too deep".into());
                }
            }
            Event::Start(start) => {
                count = if open.is_empty() { 1 } else { count + 1 };
                if open.len() > MAX_DEPTH || count > MAX_ELEMENTS {
                    return Err("its elements are too many or too deep".into());
                }
                open.push(element(&start));
            }
            Event::End(_) => match (open.pop(), open.last_mut()) {
                (Some(mut done), parent) => {
                    done.text = done.text.trim().to_owned();
                    match parent {
                        Some(parent) => parent.children.push(done),
                        None => {
                            each(done);
                            ended = outside == 0;
                        }
                    }
                }
                (None, _) => {
                    outside = outside.saturating_sub(1);
                    ended = outside == 0;
                }
            },
            Event::Text(part) => {
                if let Some(top) = open.last_mut() {
                    top.text.push_str(&part.xml10_content());
                }
            }
            Event::CData(part) => {
                if let Some(top) = open.last_mut() {
                    top.text.push_str(&part.xml10_content());
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(top) = open.last_mut() {
                    match reference.resolve_char_ref() {
                        Ok(Some(c)) => top.text.push(c),
                        _ => top.text.push_str(resolve_predefined_entity(&reference).unwrap_or_default()),
                    }
                }
            }
            Event::Eof if outside > 0 || !open.is_empty() => return Err("the XML ends before its elements do".into()),
            Event::Eof => return Ok(()),
            _ => {}
        }
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

    #[test]
    fn elements_come_one_by_one() {
        let text = "<?xml version='1.0'?><r xmlns:m='x'><m:u id='1'>a &amp; b<v>2</v></m:u><other><u id='2'/></other></r>";
        let mut seen = Vec::new();
        each_element(text, &["u"], &mut |u| seen.push(format!("{} {:?} {:?}", u.attribute("id"), u.text, u.value("v")))).unwrap();
        assert_eq!(seen, ["1 \"a & b\" \"2\"", "2 \"\" \"\""]);
        assert_eq!(root(text).unwrap(), "r");
    }

    #[test]
    fn what_is_cut_deep_or_expands_is_refused() {
        let text = "<r><u><v>2</v></u></r>";
        for cut in 0..text.len() {
            let read = root(&text[..cut]).and_then(|_| each_element(&text[..cut], &["u"], &mut |_| {}));
            assert!(read.is_err(), "cut at {cut}");
        }
        assert!(each_element(&"<a>".repeat(1000), &["u"], &mut |_| {}).is_err());
        assert!(each_element(&"<u>".repeat(1000), &["u"], &mut |_| {}).is_err());
        assert!(root("<!DOCTYPE a [<!ENTITY e 'boom'>]><a>&e;</a>").is_err());
    }
}
