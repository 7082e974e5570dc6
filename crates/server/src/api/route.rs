//! What a route of the native API is: one description, from which requests are served, checked and documented.

use super::caller::Caller;
use super::{Api, Refusal};
use crate::inspector2::Role;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use lestrade_wire::uri;
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;

/// The longest name of something, in characters.
pub(crate) const NAME: usize = 200;
/// The longest text that something is looked for by: an ARN is no longer.
pub(crate) const TEXT: usize = 2048;
/// The longest token of a page.
pub(crate) const PAGE_TOKEN: usize = 4096;

/// What a handler answers with.
type Answering = Pin<Box<dyn Future<Output = Result<Response, Refusal>> + Send>>;

/// What a path has where its route has parameters, as it stands there.
pub(crate) type InPath<'p> = Vec<(&'static str, &'p str)>;

/// A request whose sender may ask it, and whose words are what they should be.
pub(crate) struct Asking {
    pub(crate) api: Api,
    pub(crate) caller: Caller,
    pub(crate) words: Words,
    pub(crate) request: Request,
}

/// The values of a request's parameters, each as its route describes it.
#[derive(Default)]
pub(crate) struct Words(Vec<(&'static str, String)>);

impl Words {
    /// A value, where one is given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A value that the route requires: a request without it does not come so far.
    pub(crate) fn needed(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// A number that says how many.
    pub(crate) fn count(&self, name: &str) -> Option<usize> {
        self.number(name).and_then(|number| usize::try_from(number).ok())
    }

    /// Whether something is said to be so.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// The words of a list; none where it is not given.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        self.text(name).map(|list| list.split(',').map(str::trim).collect()).unwrap_or_default()
    }
}

/// Where a parameter stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

/// What a parameter may be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A name: none of its characters is a control character, and not all are spaces.
    Name,
    /// Any text of at most so many characters.
    Text(usize),
    /// A number between two, both included.
    Number(u64, u64),
    /// `true` or `false`.
    Flag,
    /// One of some words.
    Word(&'static [&'static str]),
    /// Some of some words, separated by commas.
    Words(&'static [&'static str]),
}

impl Kind {
    /// Why a value is not of this kind.
    fn refusal(self, value: &str) -> Option<String> {
        let length = value.chars().count();
        let shown = || value.chars().take(64).collect::<String>();
        match self {
            Self::Name if value.trim().is_empty() || length > NAME || value.chars().any(char::is_control) => {
                Some(format!("has 1 to {NAME} characters, none of them a control character"))
            }
            Self::Text(most) if length == 0 || length > most => Some(format!("has 1 to {most} characters")),
            Self::Number(least, most) => {
                let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                let fits = value.parse::<u64>().is_ok_and(|number| (least..=most).contains(&number));
                (!is_number || !fits).then(|| format!("is a number from {least} to {most}"))
            }
            Self::Flag if value != "true" && value != "false" => Some("is true or false".to_owned()),
            Self::Word(words) if !words.contains(&plain(value).as_str()) => {
                Some(format!("is one of: {}; not '{}'", words.join(", "), shown()))
            }
            Self::Words(words) if value.split(',').any(|word| !words.contains(&plain(word).as_str())) => {
                Some(format!("is a list of: {}; '{}' is not", words.join(", "), shown()))
            }
            Self::Words(words) if value.split(',').count() > words.len() => Some(format!("is a list of at most {} words", words.len())),
            _ => None,
        }
    }

    fn schema(self) -> Value {
        match self {
            Self::Name => {
                json!({"type": "string", "minLength": 1, "maxLength": NAME, "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$"})
            }
            Self::Text(most) => json!({"type": "string", "minLength": 1, "maxLength": most}),
            Self::Number(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Word(words) => json!({"type": "string", "enum": words}),
            Self::Words(words) => {
                json!({"type": "array", "minItems": 1, "maxItems": words.len(), "items": {"type": "string", "enum": words}})
            }
        }
    }
}

/// A word as it is compared: people write them in both cases.
fn plain(word: &str) -> String {
    word.trim().to_ascii_lowercase()
}

/// A parameter of a route.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    kind: Kind,
    required: bool,
    says: &'static str,
}

impl Parameter {
    pub(crate) fn document(&self) -> Value {
        let place = match self.place {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
        };
        let mut out =
            json!({"name": self.name, "in": place, "required": self.required, "description": self.says, "schema": self.kind.schema()});
        if let Kind::Words(_) = self.kind {
            (out["style"], out["explode"]) = ("form".into(), false.into());
        }
        out
    }

    fn take(&self, given: Option<String>) -> Result<Option<(&'static str, String)>, Refusal> {
        let refuse = |why: String| Refusal(StatusCode::BAD_REQUEST, why);
        match given {
            Some(value) => match self.kind.refusal(&value) {
                Some(why) => Err(refuse(format!("'{}' {why}", self.name))),
                None if matches!(self.kind, Kind::Word(_) | Kind::Words(_)) => Ok(Some((self.name, plain(&value)))),
                None => Ok(Some((self.name, value))),
            },
            None if self.required => Err(refuse(format!("'{}' is needed", self.name))),
            None => Ok(None),
        }
    }
}

/// A body that a route takes.
pub(crate) struct Content {
    /// The most bytes of it.
    pub(crate) most: u64,
    /// The media types that it may be of, and the schema of each.
    pub(crate) kinds: Vec<(&'static str, Value)>,
}

/// A route: what it is for, who may ask it, what it takes and what it answers.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// Below `/api/v1`, with `{name}` for what a parameter of the path says.
    pub(crate) path: &'static str,
    pub(crate) says: &'static str,
    pub(crate) role: Role,
    /// Whether it is about the server rather than an account's resources, so that those of the server's own account alone may ask.
    pub(crate) whole: bool,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) content: Option<Content>,
    /// The media type of an answer, and its schema.
    pub(crate) media: &'static str,
    pub(crate) answer: Value,
    /// The errors beside those that every route has.
    pub(crate) errors: Vec<StatusCode>,
    handle: Box<dyn Fn(Asking) -> Answering + Send + Sync>,
}

impl Route {
    fn new<F, A>(method: Method, path: &'static str, role: Role, handle: fn(Asking) -> F) -> Self
    where
        F: Future<Output = Result<A, Refusal>> + Send + 'static,
        A: IntoResponse + 'static,
    {
        let handle = Box::new(move |asking| -> Answering {
            let answer = handle(asking);
            Box::pin(async move { answer.await.map(IntoResponse::into_response) })
        });
        Self {
            method,
            path,
            says: "",
            role,
            whole: false,
            parameters: Vec::new(),
            content: None,
            media: "application/json",
            answer: json!({"type": "object"}),
            errors: Vec::new(),
            handle,
        }
    }

    /// A route that reads; viewers may.
    pub(crate) fn get<F, A>(path: &'static str, handle: fn(Asking) -> F) -> Self
    where
        F: Future<Output = Result<A, Refusal>> + Send + 'static,
        A: IntoResponse + 'static,
    {
        Self::new(Method::GET, path, Role::Viewer, handle)
    }

    /// A route that does something.
    pub(crate) fn post<F, A>(path: &'static str, role: Role, handle: fn(Asking) -> F) -> Self
    where
        F: Future<Output = Result<A, Refusal>> + Send + 'static,
        A: IntoResponse + 'static,
    {
        Self::new(Method::POST, path, role, handle)
    }

    /// A route that removes something.
    pub(crate) fn delete<F, A>(path: &'static str, role: Role, handle: fn(Asking) -> F) -> Self
    where
        F: Future<Output = Result<A, Refusal>> + Send + 'static,
        A: IntoResponse + 'static,
    {
        Self::new(Method::DELETE, path, role, handle)
    }

    /// What it is for, in a sentence.
    pub(crate) fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    /// It is about the server, not about one account's resources.
    pub(crate) fn of_the_server(self) -> Self {
        Self { whole: true, ..self }
    }

    fn with(mut self, name: &'static str, place: Place, kind: Kind, required: bool, says: &'static str) -> Self {
        self.parameters.push(Parameter { name, place, kind, required, says });
        self
    }

    /// A parameter of the path. What it names may not be there.
    pub(crate) fn path(self, name: &'static str, kind: Kind, says: &'static str) -> Self {
        self.with(name, Place::Path, kind, true, says).fails(StatusCode::NOT_FOUND)
    }

    /// A parameter of the query that may be left out.
    pub(crate) fn query(self, name: &'static str, kind: Kind, says: &'static str) -> Self {
        self.with(name, Place::Query, kind, false, says)
    }

    /// A parameter of the query that must be there.
    pub(crate) fn needs(self, name: &'static str, kind: Kind, says: &'static str) -> Self {
        self.with(name, Place::Query, kind, true, says)
    }

    /// A header that means something.
    pub(crate) fn header(self, name: &'static str, kind: Kind, says: &'static str) -> Self {
        self.with(name, Place::Header, kind, false, says)
    }

    /// Rows come page by page: how many on one, when nobody says and at most.
    pub(crate) fn pages(self, usual: usize, most: usize) -> Self {
        debug_assert!(usual <= most);
        self.query("limit", Kind::Number(1, most as u64), "How many rows are wanted at most.").query(
            "page",
            Kind::Text(PAGE_TOKEN),
            "`next` of the page before.",
        )
    }

    /// It takes a body of at most so many bytes.
    pub(crate) fn takes(mut self, most: u64, media: &'static str, schema: Value) -> Self {
        self.content = Some(Content { most, kinds: vec![(media, schema)] });
        self.errors.extend([StatusCode::REQUEST_TIMEOUT, StatusCode::PAYLOAD_TOO_LARGE]);
        self
    }

    /// The body may be of this media type too.
    pub(crate) fn or_takes(mut self, media: &'static str, schema: Value) -> Self {
        self.content = self.content.map(|mut content| {
            content.kinds.push((media, schema));
            content
        });
        self
    }

    /// The schema of its answer.
    pub(crate) fn answers(self, answer: Value) -> Self {
        Self { answer, ..self }
    }

    /// Its answer is of another media type than JSON.
    pub(crate) fn answers_with(self, media: &'static str) -> Self {
        Self { media, ..self }
    }

    /// An error that others have not.
    pub(crate) fn fails(mut self, status: StatusCode) -> Self {
        if !self.errors.contains(&status) {
            self.errors.push(status);
        }
        self
    }

    pub(crate) fn handle(&self, asking: Asking) -> Answering {
        (self.handle)(asking)
    }

    /// What a path below `/api/v1` has where this route has parameters; none when it is another's. What is given stands between
    /// slashes; the last of a path may hold some, as ARNs do.
    pub(crate) fn meets<'p>(&self, path: &'p str) -> Option<InPath<'p>> {
        let mut found = Vec::new();
        let (mut pattern, mut rest): (&'static str, &'p str) = (self.path, path);
        loop {
            let Some(open) = pattern.find('{') else { return (pattern == rest).then_some(found) };
            rest = rest.strip_prefix(&pattern[..open])?;
            let close = pattern.find('}')?;
            let name = &pattern[open + 1..close];
            pattern = &pattern[close + 1..];
            // What follows the last parameter is a word that ends the path.
            let length = if pattern.contains('{') { rest.find('/')? } else { rest.len().checked_sub(pattern.len())? };
            if length == 0 || !rest.is_char_boundary(length) {
                return None;
            }
            found.push((name, &rest[..length]));
            rest = &rest[length..];
        }
    }

    /// The values of a request's parameters. A word that is not known is refused: a filter that is not heeded answers too much.
    pub(crate) fn words(&self, path: &[(&str, &str)], request: &Request) -> Result<Words, Refusal> {
        let refuse = |why: String| Refusal(StatusCode::BAD_REQUEST, why);
        let unread = || refuse("the path or the query is not UTF-8, or an escape in it is broken".to_owned());
        // A space may be written as a plus, as forms do.
        let query = request.uri().query().unwrap_or_default().replace('+', "%20");
        let mut query = uri::query_pairs(&query).ok_or_else(unread)?;
        let mut words = Vec::new();
        for parameter in &self.parameters {
            let given = match parameter.place {
                Place::Path => {
                    let raw = path.iter().find(|(name, _)| *name == parameter.name).map(|(_, value)| *value);
                    raw.map(|raw| uri::decode(raw).ok_or_else(unread)).transpose()?
                }
                Place::Header => {
                    let raw = request.headers().get(parameter.name);
                    raw.map(|raw| raw.to_str().map(str::to_owned).map_err(|_| unread())).transpose()?
                }
                Place::Query => {
                    let at = query.iter().position(|(name, _)| name == parameter.name);
                    at.map(|at| query.remove(at).1)
                }
            };
            words.extend(parameter.take(given)?);
        }
        if let Some((name, _)) = query.first() {
            let known: Vec<_> = self.parameters.iter().filter(|known| known.place == Place::Query).map(|known| known.name).collect();
            let (name, known) = (name.chars().take(64).collect::<String>(), known.join(", "));
            return Err(refuse(format!("'{name}' is not known here, or given twice; known are: {known}")));
        }
        Ok(Words(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn nothing(_: Asking) -> Result<(), Refusal> {
        Ok(())
    }

    #[test]
    fn a_path_meets_the_routes_that_it_is_of() {
        let route = |path| Route::get(path, nothing);
        assert_eq!(route("/findings").meets("/findings"), Some(vec![]));
        assert_eq!(route("/findings").meets("/findings/"), None);
        assert_eq!(route("/findings/{id}").meets("/findings/arn:aws:x/1"), Some(vec![("id", "arn:aws:x/1")]));
        assert_eq!(route("/findings/{id}").meets("/findings/"), None);
        assert_eq!(route("/findings/{id}/explain").meets("/findings/arn:x/1/explain"), Some(vec![("id", "arn:x/1")]));
        assert_eq!(route("/findings/{id}/explain").meets("/findings/arn:x/1"), None);
        assert_eq!(route("/findings/{id}/explain").meets("/findings//explain"), None);
        assert_eq!(route("/a/{b}/c/{d}").meets("/a/1/c/2/3"), Some(vec![("b", "1"), ("d", "2/3")]));
        assert_eq!(route("/targets/{name}/test").meets("/targets/ü/test"), Some(vec![("name", "ü")]));
    }

    #[test]
    fn words_are_what_a_route_describes() {
        let route = Route::get("/x", nothing)
            .needs("name", Kind::Name, "")
            .query("status", Kind::Words(&["active", "closed"]), "")
            .query("limit", Kind::Number(1, 10), "")
            .query("gone", Kind::Flag, "");
        let words = |query: &str| {
            let request = Request::builder().uri(format!("/api/v1/x?{query}")).body(axum::body::Body::empty()).unwrap();
            route.words(&[], &request).map_err(|Refusal(status, why)| format!("{status} {why}"))
        };
        let good = words("name=a+b%2Bc&status=ACTIVE,closed&limit=10&gone=true").unwrap();
        assert_eq!(
            (good.needed("name"), good.list("status"), good.count("limit"), good.flag("gone")),
            ("a b+c", vec!["active", "closed"], Some(10), true)
        );
        for (query, why) in [
            ("", "'name' is needed"),
            ("name=", "1 to 200 characters"),
            ("name=%0a", "control character"),
            ("name=%20", "1 to 200"),
            ("name=%ff", "not UTF-8"),
            ("name=a&name=b", "given twice"),
            ("name=a&limit=0", "from 1 to 10"),
            ("name=a&limit=11", "from 1 to 10"),
            ("name=a&limit=%2B1", "from 1 to 10"),
            ("name=a&status=", "list of"),
            ("name=a&status=active,grave", "list of"),
            ("name=a&status=active,active,active", "at most 2"),
            ("name=a&gone=yes", "true or false"),
            ("name=a&nmae=b", "'nmae' is not known here"),
        ] {
            let said = words(query).err().unwrap();
            assert!(said.starts_with("400") && said.contains(why), "{query}: {said}");
        }
    }
}
