//! JSON answers, of `json` and of `rest-json` services.

use crate::{Blob, Error, HttpResponse, Kind, Place, Refusal, Shape};
use serde_json::{Map, Value};

/// What a response says: its body's object, and the members that travel in headers.
pub(crate) fn answer(shape: &Shape, response: &HttpResponse) -> Result<Value, Error> {
    let malformed = |error: String| Error::Malformed(error);
    // A member of bytes beside members in headers is the body itself.
    let members = shape.members();
    let bytes = members.iter().find(|member| member.place == Place::Body && matches!(member.shape.kind, Kind::Blob));
    let alone = members.iter().filter(|member| member.place == Place::Body).count() == 1;
    let payload = bytes.filter(|_| alone);
    let mut object = match response.body.as_slice() {
        body if payload.is_some() => {
            let blob = serde_json::to_value(Blob(body.to_vec())).map_err(|error| malformed(error.to_string()))?;
            payload.map(|member| (member.name.to_owned(), blob)).into_iter().collect()
        }
        [] => Map::new(),
        body => match serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))? {
            Value::Object(object) => object,
            _ => return Err(malformed("the answer is no object".to_owned())),
        },
    };
    // What is absent is not there; services write it as null at times.
    object.retain(|_, value| !value.is_null());
    for member in shape.members() {
        if let (Place::Header(name), Kind::String) = (member.place, member.shape.kind)
            && let Some(value) = response.header(name)
        {
            object.insert(member.name.to_owned(), value.into());
        }
    }
    Ok(Value::Object(object))
}

/// The refusal in a response: its code in a header or in `__type`, behind a namespace and before a colon.
pub(crate) fn refusal(response: &HttpResponse) -> Refusal {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let text = |keys: [&str; 3]| keys.into_iter().find_map(|key| body[key].as_str()).unwrap_or_default().to_owned();
    let named = response.header("x-amzn-errortype").map_or_else(|| text(["__type", "code", "Code"]), str::to_owned);
    let code = named.rsplit('#').next().and_then(|code| code.split(':').next()).unwrap_or_default().to_owned();
    Refusal { status: response.status, code, message: text(["message", "Message", "errorMessage"]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_named_in_a_header_or_in_the_body() {
        let refused = |headers: &[(&str, &str)], body: &str| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            refusal(&HttpResponse { status: 400, headers, body: body.into() })
        };
        let body = r#"{"__type": "com.amazonaws.ssm#ThrottlingException", "message": "slow"}"#;
        assert_eq!(refused(&[], body), Refusal { status: 400, code: "ThrottlingException".into(), message: "slow".into() });
        let header = [("x-amzn-ErrorType", "AccessDeniedException:http://internal.amazon.com/")];
        assert!(refused(&header, "{}").is_denied());
        assert_eq!(refused(&[], "<html>").code, "");
    }

    #[test]
    fn an_answer_that_is_no_object_is_none() {
        let answered =
            |body: &str| answer(&Shape::structure("X", &[]), &HttpResponse { status: 200, body: body.into(), ..HttpResponse::default() });
        assert_eq!(answered("").unwrap(), Value::Object(Map::new()));
        assert_eq!(answered(r#"{"a": null, "b": 1}"#).unwrap(), serde_json::json!({"b": 1}));
        assert!(answered("[1]").is_err() && answered("{").is_err());
    }
}
