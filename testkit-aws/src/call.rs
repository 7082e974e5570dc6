//! What is asked for: the operation, and its input as the service's model has it.

use lestrade_testkit::{Asked, Reply};
use lestrade_wire::rest_json::{self, Invalid};
use lestrade_wire::{
    HttpRequest, Protocol, Service, Shape, Violation, cloudformation, cloudwatch, ebs, ec2, ecr, ecs, eks, elb, elbv2, lambda,
    organizations, sqs, ssm, sts, validate,
};
use serde_json::{Value, json};

/// A call of an operation.
pub(crate) struct Call {
    /// The operation's name; the path where it is of none that Lestrade calls.
    pub(crate) operation: String,
    /// What is asked, where the service takes JSON: of forms nothing but the operation is read.
    pub(crate) input: Value,
    /// Whether errors are told in XML.
    is_query: bool,
    /// What is wrong with the input.
    invalid: Option<String>,
    /// What is answered, where it is JSON.
    output: Option<&'static Shape>,
}

impl Call {
    /// Finds the operation that a request is a call of.
    pub(crate) fn read(asked: &Asked) -> Self {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let request = HttpRequest {
            method: asked.method.clone(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: asked.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: asked.body.clone().into_bytes(),
        };
        let found = [
            find::<cloudformation::Api>,
            find::<cloudwatch::Api>,
            find::<ebs::Api>,
            find::<ec2::Api>,
            find::<ecr::Api>,
            find::<ecs::Api>,
            find::<eks::Api>,
            find::<elb::Api>,
            find::<elbv2::Api>,
            find::<lambda::Api>,
            find::<organizations::Api>,
            find::<sqs::Api>,
            find::<ssm::Api>,
            find::<sts::Api>,
        ]
        .into_iter()
        .find_map(|find| find(&request));
        let other = || Self { operation: path.to_owned(), input: Value::Null, is_query: false, invalid: None, output: None };
        found.unwrap_or_else(other)
    }

    /// The text of a member of what is asked.
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.input[member].as_str()
    }

    /// A refusal, as the operation's protocol has it.
    pub(crate) fn refusal(&self, status: u16, code: &str) -> Reply {
        self.refusal_saying(status, code, "no")
    }

    fn refusal_saying(&self, status: u16, code: &str, message: &str) -> Reply {
        if self.is_query {
            let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
            return Reply::Answer(status, vec![], format!("<ErrorResponse><Errors>{error}</Errors>{error}</ErrorResponse>"));
        }
        let body = json!({"__type": code, "message": message});
        Reply::Answer(status, vec![("x-amzn-ErrorType".into(), code.into())], body.to_string())
    }

    /// The refusal of an input that the model does not have.
    pub(crate) fn refusal_of_input(&self) -> Option<Reply> {
        self.invalid.as_ref().map(|reason| self.refusal_saying(400, "ValidationException", reason))
    }

    /// An answer. One that the model does not have is an error of whoever wrote the stand-in.
    pub(crate) fn answer(&self, body: &Value) -> Reply {
        let violations = self.output.map(|shape| validate(shape, body)).unwrap_or_default();
        if violations.is_empty() { Reply::json(200, body) } else { Reply::Answer(500, vec![], told(&violations)) }
    }
}

/// The operation of a service that a request is a call of.
fn find<S: Service>(request: &HttpRequest) -> Option<Call> {
    match S::PROTOCOL {
        Protocol::RestJson => {
            let route = rest_json::route::<S>(&request.method, request.path.trim_end_matches('/'))
                .or_else(|| rest_json::route::<S>(&request.method, &request.path))?;
            Some(call(route.operation, rest_json::input(route.operation.input(), request, &route.labels)))
        }
        Protocol::Json { target, .. } => {
            let name = request.header("x-amz-target")?.strip_prefix(target)?.strip_prefix('.')?;
            let operation = *S::ALL.iter().find(|operation| operation.name() == name)?;
            Some(call(operation, rest_json::input(operation.input(), request, &[])))
        }
        Protocol::Query | Protocol::Ec2 => {
            let form = std::str::from_utf8(&request.body).ok()?;
            let field = |name: &str| form.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|it| it.1);
            let (action, version) = (field("Action")?, field("Version")?);
            let operation = S::ALL.iter().find(|operation| operation.name() == action && version == S::VERSION)?;
            Some(Call { operation: operation.name().to_owned(), input: Value::Null, is_query: true, invalid: None, output: None })
        }
    }
}

fn call<S: Service>(operation: S, input: Result<Value, Invalid>) -> Call {
    let (input, invalid) = match input {
        Ok(input) => (input, None),
        Err(Invalid::Unreadable(reason)) => (Value::Null, Some(reason)),
        Err(Invalid::Fields(violations)) => (Value::Null, Some(told(&violations))),
    };
    Call { operation: operation.name().to_owned(), input, is_query: false, invalid, output: Some(operation.output()) }
}

fn told(violations: &[Violation]) -> String {
    let told: Vec<String> = violations.iter().map(|violation| format!("{}: {}", violation.path, violation.message)).collect();
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn read(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Call {
        let headers: BTreeMap<String, String> = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Call::read(&Asked { method: method.into(), path: path.into(), headers, body: body.into() })
    }

    #[test]
    fn operations_are_found_as_their_models_bind_them() {
        let block = read("GET", "/snapshots/snap-0a/blocks/7?blockToken=t7", &[], "");
        assert_eq!((block.operation.as_str(), &block.input["BlockIndex"]), ("GetSnapshotBlock", &json!(7)));
        let function = read("GET", "/2015-03-31/functions/greet?Qualifier=1", &[], "");
        assert_eq!((function.operation.as_str(), function.text("Qualifier")), ("GetFunction", Some("1")));
        let layer =
            read("GET", "/2018-10-31/layers?find=LayerVersion&Arn=arn%3Aaws%3Alambda%3Aeu-west-1%3A111122223333%3Alayer%3Al%3A1", &[], "");
        assert_eq!(layer.operation, "GetLayerVersionByArn");
        let entries = read(
            "POST",
            "/",
            &[("x-amz-target", "AmazonSSM.ListInventoryEntries")],
            r#"{"InstanceId":"i-00000001","TypeName":"AWS:Application"}"#,
        );
        assert_eq!((entries.operation.as_str(), entries.text("InstanceId")), ("ListInventoryEntries", Some("i-00000001")));
        assert_eq!(read("POST", "/", &[], "Action=DescribeInstances&Version=2016-11-15").operation, "DescribeInstances");
        assert_eq!(read("PUT", "/bucket/key", &[], "").operation, "/bucket/key");
    }

    #[test]
    fn what_the_model_does_not_have_is_refused_both_ways() {
        let call = read("POST", "/", &[("x-amz-target", "AmazonSSM.ListInventoryEntries")], r#"{"TypeName":"AWS:Application"}"#);
        assert!(matches!(call.refusal_of_input(), Some(Reply::Answer(400, _, body)) if body.contains("InstanceId")));
        assert!(matches!(call.answer(&json!({"Entries": "many"})), Reply::Answer(500, ..)));
        assert!(matches!(call.answer(&json!({"Entries": []})), Reply::Answer(200, ..)));
    }
}
