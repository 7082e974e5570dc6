//! A service model, cut to what is used of it.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// How a service speaks.
#[derive(Clone, PartialEq, Eq)]
pub enum Protocol {
    /// JSON bodies, bindings to labels, query and headers.
    RestJson,
    /// JSON bodies; a header names the operation.
    Json {
        /// `1.0` or `1.1`.
        version: String,
        /// What stands before the operation's name.
        target: String,
    },
    /// A form in, XML out.
    Query,
    /// The same, as EC2 alone spells it.
    Ec2,
}

/// A service.
pub struct Model {
    pub protocol: Protocol,
    pub api_version: String,
    pub signing_name: String,
    /// The first label of its hosts.
    pub endpoint: String,
    pub operations: BTreeMap<String, Operation>,
    /// Those that an operation reaches.
    pub shapes: BTreeMap<String, Shape>,
    /// Those of them that become types; the others stay data.
    pub typed: BTreeSet<String>,
}

/// An operation.
pub struct Operation {
    pub method: String,
    pub uri: String,
    pub status: u64,
    pub input: String,
    pub output: String,
    pub errors: Vec<String>,
    /// Whether its input and output become types.
    pub typed: bool,
}

/// What is taken of a service.
#[derive(Clone, Copy)]
pub enum Taken {
    /// Every operation with its errors: we answer it.
    All,
    /// Operations that we call: with types, and as data alone.
    Called {
        /// With types.
        typed: &'static [&'static str],
        /// As data alone: their answers are read by somebody who reads JSON.
        data: &'static [&'static str],
    },
}

/// The shape of an operation that says nothing.
const NOTHING: &str = "Nothing";

/// A shape; what it may hold is read from the model's own JSON, whose keys are named in the methods.
pub struct Shape(Value);

/// A member of a structure.
pub struct Member<'a> {
    pub name: &'a str,
    pub shape: &'a str,
    pub required: bool,
    /// `uri`, `querystring`, `header`; none for the body.
    pub location: Option<&'a str>,
    pub location_name: Option<&'a str>,
    pub query_name: Option<&'a str>,
}

impl Model {
    /// Reads a model and keeps what is taken of it: operations and the shapes that they reach.
    pub fn read(source: &Value, taken: Taken) -> Result<Self> {
        let metadata = &source["metadata"];
        let text = |key: &str| metadata[key].as_str().map(str::to_owned);
        let one = metadata["protocol"].as_str();
        // A service may speak several and name first one that we do not.
        let all = metadata["protocols"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let known = |name: &&str| matches!(*name, "rest-json" | "ec2" | "query" | "json");
        let protocol = match one.into_iter().chain(all).find(known) {
            Some("rest-json") => Protocol::RestJson,
            Some("ec2") => Protocol::Ec2,
            Some("query") => Protocol::Query,
            Some("json") => Protocol::Json {
                version: text("jsonVersion").context("jsonVersion")?,
                target: text("targetPrefix").context("targetPrefix")?,
            },
            _ => bail!("protocol {one:?} is not one that we generate for"),
        };
        let named: Vec<(&str, bool)> = match taken {
            Taken::All => source["operations"].as_object().into_iter().flatten().map(|(name, _)| (name.as_str(), true)).collect(),
            Taken::Called { typed, data } => typed.iter().map(|name| (*name, true)).chain(data.iter().map(|name| (*name, false))).collect(),
        };
        let answered = matches!(taken, Taken::All);
        let operations: BTreeMap<String, Operation> = named
            .into_iter()
            .map(|(name, typed)| Ok((name.to_owned(), operation(source, name, typed, answered)?)))
            .collect::<Result<_>>()?;
        let endpoint = text("endpointPrefix").context("endpointPrefix")?;
        let mut model = Self {
            protocol,
            api_version: text("apiVersion").context("apiVersion")?,
            signing_name: text("signingName").unwrap_or_else(|| endpoint.clone()),
            endpoint,
            operations,
            shapes: BTreeMap::new(),
            typed: BTreeSet::new(),
        };
        let roots = |typed: bool| {
            let wanted = model.operations.values().filter(move |operation| operation.typed || !typed);
            wanted.flat_map(|o| [&o.input, &o.output].into_iter().chain(&o.errors).cloned()).collect::<Vec<_>>()
        };
        let (typed, all) = (roots(true), roots(false));
        model.typed = reached(&source["shapes"], typed)?.into_keys().collect();
        model.shapes = reached(&source["shapes"], all)?;
        Ok(model)
    }

    /// The error shapes of all operations.
    pub fn errors(&self) -> BTreeSet<&str> {
        self.operations.values().flat_map(|operation| operation.errors.iter().map(String::as_str)).collect()
    }

    /// A shape by name; all names that shapes and operations use are there.
    pub fn shape(&self, name: &str) -> Result<&Shape> {
        self.shapes.get(name).with_context(|| format!("no shape {name}"))
    }
}

/// Every shape that these reach, they included.
fn reached(all: &Value, mut open: Vec<String>) -> Result<BTreeMap<String, Shape>> {
    let mut found = BTreeMap::new();
    while let Some(name) = open.pop() {
        if found.contains_key(&name) {
            continue;
        }
        let known = if name == NOTHING { Some(json!({"type": "structure", "members": {}})) } else { all.get(&name).cloned() };
        let shape = Shape(known.with_context(|| format!("no shape {name}"))?);
        open.extend(shape.neighbours().map(str::to_owned));
        found.insert(name, shape);
    }
    Ok(found)
}

fn operation(source: &Value, name: &str, typed: bool, answered: bool) -> Result<Operation> {
    let operation = source["operations"].get(name).with_context(|| format!("no operation {name}"))?;
    let shape = |key: &str| operation[key]["shape"].as_str().unwrap_or(NOTHING).to_owned();
    let errors = operation["errors"].as_array().into_iter().flatten().filter_map(|e| e["shape"].as_str().map(str::to_owned));
    let http = &operation["http"];
    Ok(Operation {
        method: http["method"].as_str().context("http.method")?.to_owned(),
        uri: http["requestUri"].as_str().context("http.requestUri")?.to_owned(),
        status: http["responseCode"].as_u64().unwrap_or(200),
        input: shape("input"),
        output: shape("output"),
        // The errors of a service that we only call are codes to us.
        errors: if answered { errors.collect() } else { Vec::new() },
        typed,
    })
}

impl Shape {
    pub fn kind(&self) -> &str {
        self.0["type"].as_str().unwrap_or_default()
    }

    pub fn is_union(&self) -> bool {
        self.0["union"].as_bool().unwrap_or(false)
    }

    /// Whether it is any JSON object, of which the model says nothing more.
    pub fn is_document(&self) -> bool {
        self.0["document"].as_bool().unwrap_or(false)
    }

    /// The values of an enumeration; empty for any other string.
    pub fn values(&self) -> Vec<&str> {
        self.0["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub fn pattern(&self) -> Option<&str> {
        self.0["pattern"].as_str()
    }

    /// `min` or `max`.
    pub fn bound(&self, key: &str) -> Option<f64> {
        self.0[key].as_f64()
    }

    /// The HTTP status of an error.
    pub fn status(&self) -> Option<u64> {
        self.0["error"]["httpStatusCode"].as_u64()
    }

    /// `member` of a list, `key` and `value` of a map.
    pub fn part(&self, key: &str) -> Result<&str> {
        self.0[key]["shape"].as_str().with_context(|| format!("a {} without {key}", self.kind()))
    }

    /// The element name of a list's items.
    pub fn item_name(&self) -> Option<&str> {
        self.0["member"]["locationName"].as_str()
    }

    pub fn members(&self) -> Vec<Member<'_>> {
        let required: BTreeSet<&str> = self.0["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let members = self.0["members"].as_object().into_iter().flatten();
        members
            .map(|(name, member)| Member {
                name,
                shape: member["shape"].as_str().unwrap_or_default(),
                required: required.contains(name.as_str()),
                location: member["location"].as_str(),
                location_name: member["locationName"].as_str(),
                query_name: member["queryName"].as_str(),
            })
            .collect()
    }

    fn neighbours(&self) -> impl Iterator<Item = &str> {
        let parts = ["member", "key", "value"].into_iter().filter_map(|key| self.0[key]["shape"].as_str());
        self.members().into_iter().map(|member| member.shape).chain(parts)
    }
}
