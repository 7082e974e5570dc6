//! The `restJson1` protocol, as a server speaks it; and how a client asks.

use crate::{HttpRequest, HttpResponse, Kind, Member, Place, Request, Service, ServiceError, Shape, Shaped, Violation, uri, validate};
use serde::Serialize;
use serde_json::{Map, Value};

/// A request that has found its operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<S> {
    /// The operation.
    pub operation: S,
    /// The labels of its path, decoded.
    pub labels: Vec<(&'static str, String)>,
}

/// The operation that a method and a raw path ask for; none when no operation is asked for so.
///
/// A label is one segment as sent: an ARN in it has its slashes encoded.
#[must_use]
pub fn route<S: Service>(method: &str, path: &str) -> Option<Route<S>> {
    S::ALL.iter().find_map(|&operation| {
        let binding = operation.binding();
        // A query that belongs to the operation is no part of the path.
        let template = binding.uri.split('?').next()?;
        let labels = (binding.method == method).then(|| labels(template, path)).flatten()?;
        Some(Route { operation, labels })
    })
}

fn labels(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut labels = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(labels),
            (Some(want), Some(segment)) => match want.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
                Some(name) if !segment.is_empty() => labels.push((name, uri::decode(segment)?)),
                None if want == segment => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

/// The request of a client; none when a label of the path is missing.
pub(crate) fn ask<S: Service>(operation: S, input: &Value) -> Option<HttpRequest> {
    let binding = operation.binding();
    let mut body = input.as_object().cloned().unwrap_or_default();
    let mut path = binding.uri.to_owned();
    let mut query = Vec::new();
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for member in operation.input().members().iter().filter(|member| member.place != Place::Body) {
        let value = body.remove(member.name);
        match (member.place, value) {
            (Place::Label(name), value) => {
                let text = value.as_ref().map(plain).filter(|text| !text.is_empty())?;
                path = path.replace(&format!("{{{name}}}"), &uri::encode(&text));
            }
            (Place::Query(name), Some(Value::Array(values))) => query.extend(values.iter().map(|value| (name, plain(value)))),
            (Place::Query(name), Some(value)) => query.push((name, plain(&value))),
            (Place::Header(name), Some(value)) => headers.push((name.to_ascii_lowercase(), plain(&value))),
            _ => {}
        }
    }
    let mut pairs: Vec<String> = query.iter().map(|(name, value)| format!("{}={}", uri::encode(name), uri::encode(value))).collect();
    // A fixed parameter in the model's path, such as `?find=LayerVersion`.
    if let Some((before, fixed)) = path.clone().split_once('?') {
        pairs.insert(0, fixed.to_owned());
        path = before.to_owned();
    }
    let speaks = !matches!(binding.method, "GET" | "DELETE" | "HEAD");
    let body = if speaks { Value::Object(body).to_string().into_bytes() } else { Vec::new() };
    Some(HttpRequest { method: binding.method.to_owned(), path, query: pairs.join("&"), headers, body })
}

/// An input that is not what the operation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// It cannot be read at all.
    Unreadable(String),
    /// Fields of it are wrong.
    Fields(Vec<Violation>),
}

/// The input of an operation: from the labels, the query and the body of its request, checked against the model.
///
/// # Errors
/// When it is not what the model asks for.
pub fn decode<R: Request>(request: &HttpRequest, labels: &[(&'static str, String)]) -> Result<R, Invalid> {
    serde_json::from_value(input(R::SHAPE, request, labels)?).map_err(|error| Invalid::Unreadable(error.to_string()))
}

/// The same as plain JSON, for operations that have shapes and no types.
///
/// # Errors
/// When it is not what the shape asks for.
pub fn input(shape: &'static Shape, request: &HttpRequest, labels: &[(&'static str, String)]) -> Result<Value, Invalid> {
    let unreadable = |text: &str| Invalid::Unreadable(text.to_owned());
    let mut object = body(shape, &request.body).map_err(unreadable)?;
    let pairs = uri::query_pairs(&request.query).ok_or_else(|| unreadable("the query string is not percent-encoded UTF-8"))?;
    for member in shape.members() {
        let value = match member.place {
            Place::Body => continue,
            Place::Label(name) => labels.iter().find(|(label, _)| *label == name).map(|(_, value)| from_text(member.shape, value)),
            Place::Query(name) => from_texts(member, pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value)),
            Place::Header(name) => {
                from_texts(member, request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v))
            }
        };
        // What is bound elsewhere is never taken from the body.
        object.remove(member.name);
        if let Some(value) = value {
            object.insert(member.name.to_owned(), value);
        }
    }
    let value = Value::Object(object);
    let violations = validate(shape, &value);
    if let Some(violation) = violations.iter().find(|violation| violation.unreadable) {
        return Err(Invalid::Unreadable(format!("{}: {}", violation.path, violation.message)));
    }
    if !violations.is_empty() {
        return Err(Invalid::Fields(violations));
    }
    Ok(value)
}

/// The body's object, without its nulls, which mean "absent". An operation without body members ignores its body.
fn body(shape: &Shape, bytes: &[u8]) -> Result<Map<String, Value>, &'static str> {
    if bytes.is_empty() || shape.members().iter().all(|member| member.place != Place::Body) {
        return Ok(Map::new());
    }
    let mut value = serde_json::from_slice(bytes).map_err(|_| "the body is not JSON")?;
    strip_nulls(&mut value);
    match value {
        Value::Object(object) => Ok(object),
        _ => Err("the body is not a JSON object"),
    }
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(strip_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

fn from_texts<'a>(member: &Member, texts: impl Iterator<Item = &'a String>) -> Option<Value> {
    let mut values = texts.map(|text| from_text(member.shape, text)).peekable();
    values.peek()?;
    match member.shape.kind {
        Kind::List { item, .. } => Some(values.map(|value| typed(item, value)).collect()),
        _ => values.next(),
    }
}

fn from_text(shape: &Shape, text: &str) -> Value {
    typed(shape, Value::String(text.to_owned()))
}

/// A text as the type of its shape; one that is not of that type stays a text, and is found by the validation.
fn typed(shape: &Shape, value: Value) -> Value {
    let Value::String(text) = &value else { return value };
    let parsed = match shape.kind {
        Kind::Integer => text.parse::<i64>().ok().map(Value::from),
        Kind::Double | Kind::Timestamp => text.parse::<f64>().ok().map(Value::from),
        Kind::Boolean => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    parsed.unwrap_or(value)
}

/// The response of a success.
///
/// # Errors
/// As serde_json's: never for generated types.
pub fn success<R: Request>(response: &R::Response) -> serde_json::Result<HttpResponse> {
    respond(R::OPERATION.binding().status, R::Response::SHAPE, response)
}

/// The response of an error of the service's model: its code in a header, its members in the body.
///
/// # Errors
/// As serde_json's: never for generated types.
pub fn failure(error: &impl ServiceError) -> serde_json::Result<HttpResponse> {
    let mut response = respond(error.status(), error.shape(), &error.to_json()?)?;
    response.headers.push(("x-amzn-errortype".to_owned(), error.shape().name.to_owned()));
    Ok(response)
}

/// The response of an error that is not in the service's model: the front's own.
#[must_use]
pub fn refusal(status: u16, code: &str, message: &str) -> HttpResponse {
    let headers = [("content-type", "application/json"), ("x-amzn-errortype", code)];
    HttpResponse {
        status,
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: serde_json::json!({ "message": message }).to_string().into_bytes(),
    }
}

fn respond(status: u16, shape: &Shape, output: &impl Serialize) -> serde_json::Result<HttpResponse> {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let bound: Vec<_> = shape.members().iter().filter(|member| member.place != Place::Body).collect();
    if bound.is_empty() {
        return Ok(HttpResponse { status, headers, body: serde_json::to_vec(output)? });
    }
    let mut value = serde_json::to_value(output)?;
    for member in bound {
        if let (Place::Header(name), Some(value)) = (member.place, value.as_object_mut().and_then(|o| o.remove(member.name))) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            headers.push((name.to_ascii_lowercase(), text));
        }
    }
    Ok(HttpResponse { status, headers, body: serde_json::to_vec(&value)? })
}

#[cfg(test)]
mod tests;
