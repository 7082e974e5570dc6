//! Requests that the model calls valid, for every operation.

use super::*;
use crate::inspector2::call::Call;
use crate::inspector2::dispatch::{Visitor, visit};
use crate::inspector2::failure::Failure;
use lestrade_wire::{Kind, Place, Request, Shape};

/// A value of a shape with its required members alone; texts are tried until one matches the pattern.
fn value(shape: &'static Shape) -> Value {
    const TEXTS: [&str; 22] = [
        "reports",
        "111122223333",
        "12345678",
        "00000000-0000-4000-8000-000000000000",
        "0123456789abcdef0123456789abcdef",
        "arn:aws:inspector2:eu-west-1:111122223333:finding/0123456789abcdef0123456789abcdef",
        "arn:aws:inspector2:eu-west-1:111122223333:owner/111122223333/filter/0123456789abcdef",
        "arn:aws:inspector2:eu-west-1:111122223333:owner/111122223333/cis-configuration/00000000-0000-4000-8000-000000000000",
        "arn:aws:inspector2:eu-west-1:111122223333:owner/111122223333/cis-scan/00000000-0000-4000-8000-000000000000",
        "arn:aws:inspector2:eu-west-1:111122223333:codesecurity-integration/00000000-0000-4000-8000-000000000000",
        "arn:aws:inspector2:eu-west-1:111122223333:owner/111122223333/codesecurity-configuration/00000000-0000-4000-8000-000000000000",
        "arn:aws:inspector2:eu-west-1:111122223333:connector/00000000-0000-4000-8000-000000000000",
        "arn:aws:config:eu-west-1:111122223333:connector/azure/estate/00000000-0000-4000-8000-000000000000",
        "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000000",
        "project-00000000-0000-4000-8000-000000000000",
        "ami-0123456789abcdef0",
        "i-0123456789abcdef0",
        "CVE-2026-0001",
        "https://gitlab.example",
        "/opt/apps",
        "arn:aws:ecr:eu-west-1:111122223333:repository/web",
        "00:00",
    ];
    match shape.kind {
        Kind::Structure(members) => {
            members.iter().filter(|m| m.required).map(|m| (m.name.to_owned(), value(m.shape))).collect::<serde_json::Map<_, _>>().into()
        }
        Kind::Union(members) => json!({members[0].name: value(members[0].shape)}),
        Kind::List { item, .. } => json!([value(item)]),
        Kind::Map { key, value: of } => json!({value(key).as_str().unwrap(): value(of)}),
        Kind::Enumeration(values) => json!(values[0]),
        Kind::Integer | Kind::Double | Kind::Timestamp => json!(shape.limits.min.map_or(1, |min| min as i64)),
        Kind::Boolean => json!(true),
        Kind::Blob => json!("eA=="),
        Kind::String => {
            let long = "x".repeat(shape.limits.min.unwrap_or(1.0) as usize);
            let texts = TEXTS.iter().map(|text| json!(text)).chain([json!(long)]);
            texts
                .into_iter()
                .find(|text| validate(shape, text).is_empty())
                .unwrap_or_else(|| panic!("no {}: {:?}", shape.name, shape.pattern))
        }
    }
}

/// Sends a valid request for an operation.
struct Send<'a>(&'a Lab);

impl Send<'_> {
    fn send<R: Request<Service = Api>>(&self) -> HttpResponse {
        let binding = R::OPERATION.binding();
        let Value::Object(mut body) = value(R::SHAPE) else { panic!("{}", R::SHAPE.name) };
        let (mut path, mut query) = (binding.uri.to_owned(), Vec::new());
        for member in R::SHAPE.members() {
            let Some(bound) = (member.place != Place::Body).then(|| body.remove(member.name)).flatten() else { continue };
            let text = bound.as_array().map_or(&bound, |items| &items[0]).as_str().unwrap().to_owned();
            let text = text.replace(':', "%3A").replace('/', "%2F");
            match member.place {
                Place::Label(name) => path = path.replace(&format!("{{{name}}}"), &text),
                Place::Query(name) => query.push(format!("{name}={text}")),
                Place::Body | Place::Header(_) => {}
            }
        }
        self.0.send("admin", binding.method, &format!("{path}?{}", query.join("&")), &Value::Object(body).to_string())
    }
}

impl Visitor for Send<'_> {
    type Out = (&'static str, HttpResponse);

    fn real<R: Request<Service = Api>>(self, _: fn(&Call<'_>, R) -> Result<R::Response, Failure>) -> Self::Out {
        ("real", self.send::<R>())
    }

    fn kept<R: Request<Service = Api>>(self, _: fn(&Call<'_>, R) -> Result<R::Response, Failure>, _: &'static str) -> Self::Out {
        ("kept", self.send::<R>())
    }

    fn empty<R: Request<Service = Api>>(self, _: fn(&Call<'_>, R) -> Result<R::Response, Failure>, _: &'static str) -> Self::Out {
        ("empty", self.send::<R>())
    }

    fn refused<R: Request<Service = Api>>(self, _: &'static str) -> Self::Out {
        ("refused", self.send::<R>())
    }
}

/// `Lab::send` holds every success against the model.
#[test]
fn every_operation_answers_a_valid_request() {
    for &operation in Api::ALL {
        let (depth, response) = visit(operation, Send(&Lab::new()));
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        let code = response.header("x-amzn-errortype");
        match depth {
            "refused" => {
                assert_eq!((code, &body["reason"]), (Some("ValidationException"), &json!("OTHER")), "{operation:?}: {body}");
            }
            _ => assert!(
                matches!(code, None | Some("ResourceNotFoundException" | "AccessDeniedException")),
                "{operation:?}: {code:?} {body}"
            ),
        }
    }
}
