use super::*;
use crate::inspector2::{
    Api, CreateFilterRequest, Error, ListFindingsRequest, ListFindingsResponse, ThrottlingException, UntagResourceRequest,
};

fn post(body: &str) -> HttpRequest {
    HttpRequest { method: "POST".into(), body: body.into(), ..HttpRequest::default() }
}

#[test]
fn every_operation_is_found_by_its_own_binding() {
    for &operation in Api::ALL {
        let binding = operation.binding();
        let found = route::<Api>(binding.method, &binding.uri.replace("{resourceArn}", "arn%3Aaws%3Ax%2Fy")).unwrap();
        assert_eq!(found.operation, operation);
        assert_eq!(found.labels.is_empty(), !binding.uri.contains('{'));
    }
}

#[test]
fn what_no_operation_asks_for_is_not_found() {
    for (method, path) in [
        ("GET", "/findings/list"),
        ("POST", "/findings/list/"),
        ("POST", "/findings"),
        ("post", "/findings/list"),
        ("GET", "/tags/"),
        ("GET", "/tags/a/b"),
        ("GET", "/tags/%zz"),
        ("POST", ""),
    ] {
        assert_eq!(route::<Api>(method, path), None, "{method} {path}");
    }
}

#[test]
fn labels_and_repeated_parameters_are_members() {
    let found = route::<Api>("DELETE", "/tags/arn%3Aaws%3Ainspector2%3Aeu-west-1%3A111122223333%3Afilter%2Fx").unwrap();
    let request = HttpRequest { query: "tagKeys=a&x=1&tagKeys=b%2Bc".into(), body: b"not json".to_vec(), ..HttpRequest::default() };
    let input: UntagResourceRequest = decode(&request, &found.labels).unwrap();
    assert_eq!(input.resource_arn, "arn:aws:inspector2:eu-west-1:111122223333:filter/x");
    assert_eq!(input.tag_keys, ["a", "b+c"]);
}

#[test]
fn bodies_are_read_with_nulls_as_absent() {
    assert_eq!(decode::<ListFindingsRequest>(&post(""), &[]).unwrap().max_results, None);
    let input: ListFindingsRequest = decode(&post(r#"{"maxResults": 7, "nextToken": null, "novelty": []}"#), &[]).unwrap();
    assert_eq!((input.max_results, input.next_token), (Some(7), None));
}

#[test]
fn inputs_that_cannot_be_read_and_fields_that_are_wrong_are_told_apart() {
    let unreadable = |body| match decode::<CreateFilterRequest>(&post(body), &[]) {
        Err(Invalid::Unreadable(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(unreadable("{"), "the body is not JSON");
    assert_eq!(unreadable("[]"), "the body is not a JSON object");
    assert_eq!(unreadable(r#"{"action": 1}"#), "action: Member must be a string");
    assert!(unreadable(&"[".repeat(100_000)).contains("not JSON"));
    match decode::<CreateFilterRequest>(&post(r#"{"action": "HIDE", "filterCriteria": {}}"#), &[]) {
        Err(Invalid::Fields(fields)) => {
            assert_eq!(fields.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["action", "name"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn responses_carry_their_parts_where_the_model_binds_them() {
    let page = ListFindingsResponse { findings: Some(vec![]), next_token: None };
    let response = success::<ListFindingsRequest>(&page).unwrap();
    assert_eq!((response.status, response.body.as_slice()), (200, br#"{"findings":[]}"#.as_slice()));

    let error = Error::from(ThrottlingException { message: "slow down".into(), retry_after_seconds: Some(3) });
    let response = failure(&error).unwrap();
    assert_eq!(response.status, 429);
    assert_eq!(response.header("X-Amzn-ErrorType"), Some("ThrottlingException"));
    assert_eq!(response.header("Retry-After"), Some("3"));
    assert_eq!(response.body, br#"{"message":"slow down"}"#);
}
