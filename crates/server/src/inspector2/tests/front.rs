//! What holds for every operation.

use super::*;
use crate::inspector2::dispatch::writes;

#[test]
fn a_reader_changes_nothing() {
    let lab = Lab::new();
    for &operation in Api::ALL.iter().filter(|operation| writes(**operation)) {
        let binding = operation.binding();
        let response = lab.send("reader", binding.method, &binding.uri.replace("{resourceArn}", "arn"), "{}");
        assert_eq!((response.status, response.header("x-amzn-errortype")), (403, Some("AccessDeniedException")), "{operation:?}");
    }
    assert_eq!(lab.send("reader", "POST", "/findings/list", "{}").status, 200);
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
