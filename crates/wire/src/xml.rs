//! XML responses, read as their shape says: a tree of values that the generated types deserialise from.
//!
//! The walk is as deep as the shape, never as the document; an element that the shape does not have is skipped. Entities
//! other than XML's own five are an error, so nothing expands.

use crate::{EpochSeconds, Kind, Member, Shape};
use lestrade_model::Timestamp;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

/// A document that is not XML, or not as its shape says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("not well-formed: {0}")]
    Malformed(String),
    #[error("ends too early")]
    Truncated,
    #[error("'{0}' is not {1}")]
    Unusable(String, &'static str),
}

impl<E: Into<quick_xml::Error>> From<E> for XmlError {
    fn from(error: E) -> Self {
        Self::Malformed(error.into().to_string())
    }
}

/// Reads the document's root element, whatever its name, as `shape`.
pub(crate) fn read(shape: &Shape, document: &str) -> Result<Value, XmlError> {
    let mut reader = Reader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    loop {
        match reader.read_event()? {
            Event::Start(_) => return value(&mut reader, shape),
            Event::Eof => return Err(XmlError::Truncated),
            _ => {}
        }
    }
}

/// Reads the first element of this name within the root as `shape`.
pub(crate) fn read_within(shape: &Shape, document: &str, element: &str) -> Result<Value, XmlError> {
    let mut reader = Reader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    loop {
        match reader.read_event()? {
            Event::Start(start) if start.local_name().as_ref() == element => return value(&mut reader, shape),
            Event::Eof => return Err(XmlError::Truncated),
            _ => {}
        }
    }
}

/// Reads up to the end of the element whose start has just been read.
fn value(reader: &mut Reader<&[u8]>, shape: &Shape) -> Result<Value, XmlError> {
    match shape.kind {
        Kind::Structure(members) | Kind::Union(members) => structure(reader, members),
        Kind::List { item, element } => {
            let mut items = Vec::new();
            children(reader, |reader, start| {
                if start.local_name().as_ref() == element {
                    items.push(value(reader, item)?);
                    return Ok(true);
                }
                Ok(false)
            })?;
            Ok(Value::Array(items))
        }
        Kind::Map { .. } => Err(XmlError::Unusable(shape.name.to_owned(), "a shape of this protocol")),
        _ => scalar(shape, text(reader)?),
    }
}

fn structure(reader: &mut Reader<&[u8]>, members: &[Member]) -> Result<Value, XmlError> {
    let mut object = Map::new();
    children(reader, |reader, start| {
        let Some(member) = members.iter().find(|member| member.element == start.local_name().as_ref()) else {
            return Ok(false);
        };
        object.insert(member.name.to_owned(), value(reader, member.shape)?);
        Ok(true)
    })?;
    Ok(Value::Object(object))
}

/// Offers each child to `take`, which reads it to its end and says so, or leaves it to be skipped.
fn children(
    reader: &mut Reader<&[u8]>,
    mut take: impl FnMut(&mut Reader<&[u8]>, &BytesStart<'_>) -> Result<bool, XmlError>,
) -> Result<(), XmlError> {
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                let taken = take(reader, &start)?;
                if !taken {
                    reader.read_to_end(start.name())?;
                }
            }
            Event::End(_) => return Ok(()),
            Event::Eof => return Err(XmlError::Truncated),
            _ => {}
        }
    }
}

fn text(reader: &mut Reader<&[u8]>) -> Result<String, XmlError> {
    let mut out = String::new();
    loop {
        match reader.read_event()? {
            Event::Text(text) => out.push_str(&text.xml10_content()),
            Event::CData(text) => out.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref()? {
                Some(c) => out.push(c),
                None => {
                    out.push_str(
                        resolve_predefined_entity(&reference).ok_or_else(|| XmlError::Unusable(reference.to_string(), "an entity"))?,
                    );
                }
            },
            Event::Start(start) => {
                reader.read_to_end(start.name())?;
            }
            Event::End(_) => return Ok(out),
            Event::Eof => return Err(XmlError::Truncated),
            _ => {}
        }
    }
}

fn scalar(shape: &Shape, text: String) -> Result<Value, XmlError> {
    let trimmed = text.trim();
    let unusable = |what| XmlError::Unusable(trimmed.chars().take(64).collect(), what);
    Ok(match shape.kind {
        Kind::Integer => trimmed.parse::<i64>().map_err(|_| unusable("an integer"))?.into(),
        Kind::Double => trimmed.parse::<f64>().map_err(|_| unusable("a number"))?.into(),
        Kind::Boolean => trimmed.parse::<bool>().map_err(|_| unusable("a boolean"))?.into(),
        Kind::Timestamp => EpochSeconds::from(Timestamp::parse(trimmed).map_err(|_| unusable("a time"))?).0.into(),
        _ => Value::String(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Shaped;
    use crate::ec2::DescribeInstancesResult;
    use serde_json::json;

    #[test]
    fn a_response_is_read_as_its_shape_says() {
        let document = r#"<?xml version="1.0"?>
            <DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>
            <reservationSet><item><ownerId>111122223333</ownerId><novelty><deep><er/></deep></novelty><groupSet/>
              <instancesSet><item><instanceId>i-1</instanceId><launchTime>2023-11-14T22:13:20.500Z</launchTime>
                <instanceState><code>16</code><name>running</name></instanceState><ebsOptimized>true</ebsOptimized>
                <tagSet><item><key>a&amp;b</key><value>&#228;<![CDATA[<x>]]></value></item></tagSet></item></instancesSet>
            </item></reservationSet><nextToken>n</nextToken></DescribeInstancesResponse>"#;
        let value = read(DescribeInstancesResult::SHAPE, document).unwrap();
        assert_eq!(
            value,
            json!({
                "Reservations": [{
                    "OwnerId": "111122223333",
                    "Groups": [],
                    "Instances": [{
                        "InstanceId": "i-1", "LaunchTime": 1_700_000_000.5, "State": {"Code": 16, "Name": "running"},
                        "EbsOptimized": true, "Tags": [{"Key": "a&b", "Value": "ä<x>"}],
                    }],
                }],
                "NextToken": "n",
            })
        );
        let typed: DescribeInstancesResult = serde_json::from_value(value).unwrap();
        assert_eq!(typed.next_token.as_deref(), Some("n"));
    }

    #[test]
    fn what_is_not_such_a_response_is_an_error() {
        for document in [
            "",
            "no xml",
            "<a><reservationSet><item>",
            "<a><reservationSet></a>",
            "<a><reservationSet><item><instancesSet><item><amiLaunchIndex>x</amiLaunchIndex></item></instancesSet></item></reservationSet></a>",
            "<!DOCTYPE a [<!ENTITY e \"boom\">]><a><nextToken>&e;</nextToken></a>",
        ] {
            assert!(read(DescribeInstancesResult::SHAPE, document).is_err(), "{document}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_document_panics(middle in "[<>&;/a-zA-Z#x0-9!\\[\\]\"= -]{0,80}", at in 0..200_usize) {
            let whole = "<R><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><tagSet><item><key>k</key></item>\
                         </tagSet></item></instancesSet></item></reservationSet><nextToken>n</nextToken></R>";
            let _ = read(DescribeInstancesResult::SHAPE, &middle);
            let (before, after) = whole.split_at(at.min(whole.len()));
            let _ = read(DescribeInstancesResult::SHAPE, &format!("{before}{middle}{after}"));
            let _ = read(DescribeInstancesResult::SHAPE, before);
        }
    }
}
