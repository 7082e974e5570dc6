//! What holds for every operation.

use super::*;
use crate::WatchedScopes;
use crate::inspector2::dispatch::{needs, writes};
use crate::inspector2::front::receive;

#[test]
fn a_key_may_do_what_its_role_may_and_no_more() {
    let lab = Lab::new();
    let mut refused = 0;
    for &operation in Api::ALL {
        let binding = operation.binding();
        for role in Role::ALL {
            let response = lab.send(role.as_str(), binding.method, &binding.uri.replace("{resourceArn}", "arn"), r#"{"maxResults":-1}"#);
            let body: Value = serde_json::from_slice(&response.body).unwrap();
            let denied = body["message"].as_str().is_some_and(|message| message.contains("is not authorized to perform"));
            assert_eq!(denied, role < needs(operation), "{operation:?} {role:?}: {body}");
            refused += usize::from(denied);
            assert!(!denied || writes(operation), "{operation:?}: whoever has a key may read");
        }
    }
    assert!(refused > 60, "{refused}");
}

/// Whatever is sent, the answer is a response of the protocol and never a fault of ours.
#[test]
fn no_body_makes_a_fault() {
    let lab = Lab::new();
    let bodies = ["", "{}", "[]", "null", "1", "{", "\u{0}", r#"{"maxResults":1e400}"#, r#"{"maxResults":-1}"#, r#"{"nextToken":""}"#];
    for &operation in Api::ALL {
        let binding = operation.binding();
        for body in bodies {
            let response = lab.send("admin", binding.method, &binding.uri.replace("{resourceArn}", "arn"), body);
            assert!(response.status < 500, "{operation:?} {body}");
            assert!(serde_json::from_slice::<Value>(&response.body).is_ok_and(|body| body.is_object()), "{operation:?} {body}");
        }
    }
    assert_eq!(lab.send("admin", "POST", "/nothing", "{}").header("x-amzn-errortype"), Some("UnknownOperationException"));
}

/// More than AWS takes of anything is refused before it is compiled, and with its field's name.
#[test]
fn criteria_beyond_what_is_taken_are_refused() {
    let lab = Lab::new();
    let value = json!({"comparison": "EQUALS", "value": "HIGH"});
    for body in [
        json!({"filterCriteria": {"severity": vec![value.clone(); 100_000]}}),
        json!({"filterCriteria": {"severity": [{"comparison": "LIKE", "value": "HIGH"}]}}),
        json!({"filterCriteria": {"severity": "HIGH"}}),
        json!({"filterCriteria": {"title": [{"comparison": "EQUALS", "value": "x".repeat(1 << 20)}]}}),
        json!({"maxResults": 0}),
        json!({"maxResults": 1001}),
        json!({"sortCriteria": {"field": "SEVERITY", "sortOrder": "SIDEWAYS"}}),
    ] {
        let (kind, said) = lab.refused("/findings/list", body);
        assert_eq!(kind, "ValidationException", "{said}");
    }
    let deep = format!("{}{}", "{\"filterCriteria\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(lab.send("admin", "POST", "/findings/list", &deep).status, 400);
}

/// Only what changes something is refused later: reading again harms nobody.
#[test]
fn a_request_that_changes_something_is_not_replayed() {
    let lab = Lab::new();
    let send = |request: &HttpRequest| lab.front.answer(&lab.front.holder(request).unwrap(), request);
    let create = lab.signed("admin", "POST", "/filters/create", r#"{"name":"x","action":"NONE","filterCriteria":{}}"#);
    assert_eq!(send(&create).status, 200);
    lab.clock.0.fetch_add(60_000, Ordering::Relaxed);
    let again = send(&create);
    assert_eq!((again.status, again.header("x-amzn-errortype")), (403, Some("InvalidSignatureException")));
    assert_eq!(lab.ask("/filters/list", json!({}))["filters"].as_array().unwrap().len(), 1);
    let list = lab.signed("admin", "POST", "/findings/list", "{}");
    assert_eq!(send(&list).status, 200);
    lab.clock.0.fetch_add(60_000, Ordering::Relaxed);
    assert_eq!(send(&list).status, 200);
}

async fn over_http(lab: &Lab, request: HttpRequest) -> HttpResponse {
    let target = format!("{}?{}", request.path, request.query);
    let mut builder = axum::http::Request::builder().method(request.method.as_str()).uri(target);
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let (parts, body) = builder.body(axum::body::Body::from(request.body)).unwrap().into_parts();
    receive(Arc::clone(&lab.front), parts, body).await
}

#[tokio::test]
async fn a_key_that_asks_too_much_is_told_to_wait() {
    let lab = Lab::new();
    let ask = |key: &str| over_http(&lab, lab.signed(key, "POST", "/filters/list", "{}"));
    let mut answers = Vec::new();
    for _ in 0..401 {
        answers.push(ask("viewer").await);
    }
    let last = answers.pop().unwrap();
    assert!(answers.iter().all(|answer| answer.status == 200));
    let told = (last.status, last.header("x-amzn-errortype"), last.header("retry-after"));
    assert_eq!(told, (429, Some("ThrottlingException"), Some("1")));
    assert_eq!(ask("admin").await.status, 200, "others are not made to wait");
    lab.clock.0.fetch_add(1000, Ordering::Relaxed);
    assert_eq!(ask("viewer").await.status, 200);
}

/// What is left of a body would end the connection without a word, and the next request of it would be lost.
#[tokio::test]
async fn a_connection_goes_on_after_a_refusal_or_its_end_is_announced() {
    let lab = Lab::new();
    for (length, announced) in [(0, None), (16 << 10, None), ((16 << 10) + 1, Some("close")), (11 << 20, Some("close"))] {
        let refused = over_http(&lab, lab.signed("nobody", "POST", "/filters/list", &" ".repeat(length))).await;
        assert_eq!((refused.status, refused.header("connection")), (403, announced), "{length}");
    }
    let large = over_http(&lab, lab.signed("viewer", "POST", "/filters/list", &" ".repeat(11 << 20))).await;
    assert_eq!((large.status, large.header("connection")), (413, Some("close")));
}

#[tokio::test]
async fn a_target_that_is_too_long_is_refused() {
    let lab = Lab::new();
    let request = lab.signed("viewer", "GET", &format!("/tags/{}", "x".repeat(9000)), "");
    assert_eq!(over_http(&lab, request).await.status, 414);
}

#[test]
fn a_key_sees_the_watched_accounts_that_it_is_for() {
    let scope = |account: &str, region: &str| Scope::new("aws", account, region).unwrap();
    let watched = WatchedScopes::default();
    let accounts = ["111122223333", "444455556666", "777788889999"];
    watched.set(["eu-west-1", "us-east-1"].into_iter().flat_map(|region| accounts.map(|account| scope(account, region))).collect());
    let home = scope("000000000000", "eu-west-1");
    let lab = Lab::new();
    let front = Front::new(lab.core.clone(), HashMap::new(), [9; 32]).with_estate(watched, home.clone());
    let seen = |own: &Scope, members: &[&str], region: &str| {
        let members = members.iter().map(|account| scope(account, "eu-west-1")).collect();
        let principal = Principal { name: "ann".into(), scope: own.clone(), members, role: Role::Viewer };
        let scopes = front.in_region(&principal, region).scopes();
        scopes.iter().map(|scope| format!("{} {}", &scope.account[..4], scope.region)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&home, &[], "us-east-1"), ["0000 us-east-1", "1111 us-east-1", "4444 us-east-1", "7777 us-east-1"]);
    let own = scope("444455556666", "eu-west-1");
    assert_eq!(seen(&own, &[], "eu-west-1"), ["4444 eu-west-1"], "not the others, which the server watches too");
    assert_eq!(seen(&own, &["111122223333"], "us-east-1"), ["4444 us-east-1", "1111 us-east-1"]);
    assert_eq!(seen(&scope("999999999999", "eu-west-1"), &[], "us-east-1"), ["9999 eu-west-1"], "nothing of it is watched there");
}
