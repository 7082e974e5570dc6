//! The `ec2` protocol: a form in, XML out.

use crate::xml::{self, XmlError};
use crate::{EpochSeconds, Kind, Member, Refusal, Request, Service, Shape, Shaped, uri};
use lestrade_model::Timestamp;
use serde_json::Value;

/// The form of a request.
pub(crate) fn encode<R: Request>(request: &R) -> serde_json::Result<String> {
    let value = serde_json::to_value(request)?;
    let mut form = format!("Action={}&Version={}", R::OPERATION.name(), <R::Service as Service>::VERSION);
    parameters(R::SHAPE, &value, "", &mut form);
    Ok(form)
}

fn parameters(shape: &Shape, value: &Value, name: &str, form: &mut String) {
    match (shape.kind, value) {
        (_, Value::Null) => {}
        (Kind::Structure(members) | Kind::Union(members), Value::Object(object)) => {
            for member in members {
                if let Some(value) = object.get(member.name) {
                    let dot = if name.is_empty() { "" } else { "." };
                    parameters(member.shape, value, &format!("{name}{dot}{}", member.parameter), form);
                }
            }
        }
        (Kind::List { item, .. }, Value::Array(items)) => {
            for (i, value) in items.iter().enumerate() {
                parameters(item, value, &format!("{name}.{}", i + 1), form);
            }
        }
        (kind, scalar) => {
            let text = match (kind, scalar) {
                (Kind::Timestamp, Value::Number(seconds)) => {
                    Timestamp::from(EpochSeconds(seconds.as_f64().unwrap_or_default())).to_string()
                }
                (_, Value::String(text)) => text.clone(),
                (_, other) => other.to_string(),
            };
            form.push('&');
            form.push_str(&uri::encode_except(name, b"."));
            form.push('=');
            form.push_str(&uri::encode(&text));
        }
    }
}

/// The response to a request.
pub(crate) fn decode<R: Request>(body: &str) -> Result<Value, XmlError> {
    xml::read(R::Response::SHAPE, body)
}

/// The refusal in a response: `<Response><Errors><Error><Code>…`.
pub(crate) fn refusal(status: u16, body: &str) -> Refusal {
    static STRING: Shape = Shape::string("String");
    static ERROR: Shape = Shape::structure("Error", &[named("Code", &STRING), named("Message", &STRING)]);
    static ERRORS: Shape = Shape::list("Errors", &ERROR, "Error");
    static RESPONSE: Shape = Shape::structure("Response", &[named("Errors", &ERRORS)]);
    const fn named(name: &'static str, shape: &'static Shape) -> Member {
        Member::optional(name, shape)
    }
    let document = xml::read(&RESPONSE, body).unwrap_or_default();
    let text = |key| document["Errors"][0][key].as_str().unwrap_or_default().to_owned();
    Refusal { status, code: text("Code"), message: text("Message") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ec2::{DescribeInstancesRequest, Filter};

    #[test]
    fn requests_are_forms_with_numbered_lists() {
        let request = DescribeInstancesRequest {
            instance_ids: Some(vec!["i-1".into(), "i-2".into()]),
            filters: Some(vec![Filter { name: Some("tag:a b".into()), values: Some(vec!["x&y".into()]) }]),
            dry_run: Some(false),
            max_results: Some(5),
            ..DescribeInstancesRequest::default()
        };
        assert_eq!(
            encode(&request).unwrap(),
            "Action=DescribeInstances&Version=2016-11-15&InstanceId.1=i-1&InstanceId.2=i-2&DryRun=false\
             &Filter.1.Name=tag%3Aa%20b&Filter.1.Value.1=x%26y&MaxResults=5"
        );
    }

    #[test]
    fn refusals_are_read_and_garbage_keeps_its_status() {
        let body = "<Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error></Errors></Response>";
        let refused = refusal(401, body);
        assert_eq!((refused.code.as_str(), refused.message.as_str(), refused.is_denied()), ("AuthFailure", "no", true));
        assert_eq!(refusal(502, "bad gateway"), Refusal { status: 502, ..Refusal::default() });
    }
}
