//! The `query` protocol and its dialect `ec2`: a form in, XML out.

use crate::xml::{self, XmlError};
use crate::{EpochSeconds, Kind, Member, Protocol, Refusal, Service, Shape, uri};
use lestrade_model::Timestamp;
use serde_json::Value;

/// The form of a request.
pub(crate) fn encode<S: Service>(operation: S, input: &Value) -> String {
    let mut form = format!("Action={}&Version={}", operation.name(), S::VERSION);
    parameters::<S>(operation.input(), input, "", &mut form);
    form
}

fn parameters<S: Service>(shape: &Shape, value: &Value, name: &str, form: &mut String) {
    match (shape.kind, value) {
        (_, Value::Null) => {}
        (Kind::Structure(members) | Kind::Union(members), Value::Object(object)) => {
            for member in members {
                if let Some(value) = object.get(member.name) {
                    let dot = if name.is_empty() { "" } else { "." };
                    parameters::<S>(member.shape, value, &format!("{name}{dot}{}", member.parameter), form);
                }
            }
        }
        (Kind::List { item, element }, Value::Array(items)) => {
            // `ec2` numbers the list itself, `query` its items' element.
            let name = if S::PROTOCOL == Protocol::Ec2 { name.to_owned() } else { format!("{name}.{element}") };
            for (i, value) in items.iter().enumerate() {
                parameters::<S>(item, value, &format!("{name}.{}", i + 1), form);
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

/// The response to a request. In `query` what was asked for is wrapped in `<…Result>`.
pub(crate) fn decode<S: Service>(operation: S, body: &str) -> Result<Value, XmlError> {
    match S::PROTOCOL {
        Protocol::Query => xml::read_within(operation.output(), body, &format!("{}Result", operation.name())),
        _ => xml::read(operation.output(), body),
    }
}

/// The refusal in a response: `<Response><Errors><Error><Code>…`, or `<ErrorResponse><Error><Code>…`.
pub(crate) fn refusal(status: u16, body: &str) -> Refusal {
    static STRING: Shape = Shape::string("String");
    static ERROR: Shape = Shape::structure("Error", &[named("Code", &STRING), named("Message", &STRING)]);
    static ERRORS: Shape = Shape::list("Errors", &ERROR, "Error");
    static RESPONSE: Shape = Shape::structure("Response", &[named("Errors", &ERRORS), named("Error", &ERROR)]);
    const fn named(name: &'static str, shape: &'static Shape) -> Member {
        Member::optional(name, shape)
    }
    let document = xml::read(&RESPONSE, body).unwrap_or_default();
    let text = |key| [&document["Errors"][0][key], &document["Error"][key]].into_iter().find_map(Value::as_str).unwrap_or_default();
    Refusal { status, code: text("Code").to_owned(), message: text("Message").to_owned() }
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
            encode(crate::ec2::Api::DescribeInstances, &serde_json::to_value(request).unwrap()),
            "Action=DescribeInstances&Version=2016-11-15&InstanceId.1=i-1&InstanceId.2=i-2&DryRun=false\
             &Filter.1.Name=tag%3Aa%20b&Filter.1.Value.1=x%26y&MaxResults=5"
        );
    }

    #[test]
    fn the_query_protocol_names_its_items_and_wraps_its_answers() {
        use crate::elbv2::Api;
        let form = encode(Api::DescribeTargetGroups, &serde_json::json!({"TargetGroupArns": ["a", "b"]}));
        assert_eq!(form, "Action=DescribeTargetGroups&Version=2015-12-01&TargetGroupArns.member.1=a&TargetGroupArns.member.2=b");
        let body = "<R xmlns='x'><DescribeTargetGroupsResult><TargetGroups><member><Port>80</Port></member></TargetGroups>\
                    <NextMarker>n</NextMarker></DescribeTargetGroupsResult><ResponseMetadata/></R>";
        let value = decode(Api::DescribeTargetGroups, body).unwrap();
        assert_eq!(value, serde_json::json!({"TargetGroups": [{"Port": 80}], "NextMarker": "n"}));
        assert!(decode(Api::DescribeTargetGroups, "<R><Other/></R>").is_err(), "an answer without its result is none");
    }

    #[test]
    fn refusals_are_read_and_garbage_keeps_its_status() {
        let body = "<Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error></Errors></Response>";
        let refused = refusal(401, body);
        assert_eq!((refused.code.as_str(), refused.message.as_str(), refused.is_denied()), ("AuthFailure", "no", true));
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code></Error></ErrorResponse>";
        assert!(refusal(400, body).is_throttling());
        assert_eq!(refusal(502, "bad gateway"), Refusal { status: 502, ..Refusal::default() });
    }
}
