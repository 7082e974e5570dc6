//! Patterns, strictly: what EventBridge refuses is refused, with the reason and the place.

use super::tests_of::{Affix, AnyCase, Anything, Block, Bound, Scalar, Test, is_comparable};
use super::wildcard::Wildcard;
use serde_json::{Map, Value};

/// How deep a pattern may be, and how many combinations its alternatives may make.
const MAX_DEPTH: usize = 64;
const MAX_COMBINATIONS: usize = 1_000;
/// What no field within `$or` may be called: operators, and what the open ruler keeps for more of them.
const RESERVED: [&str; 24] = [
    "exactly",
    "prefix",
    "suffix",
    "equals-ignore-case",
    "anything-but",
    "numeric",
    "cidr",
    "exists",
    "wildcard",
    "=",
    "<",
    "<=",
    ">",
    ">=",
    "regex",
    "not-wildcard",
    "not-equals-ignore-case",
    "date-after",
    "date-on-or-after",
    "date-before",
    "date-on-or-before",
    "in-date-range",
    "ip-address-in-range",
    "ip-address-not-in-range",
];

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct PatternError {
    /// Where: a path of members (`detail.state`), or a line and column where it is no JSON.
    pub place: String,
    /// One clause.
    pub reason: String,
}

/// A parsed pattern: alternatives, in each of which all leaves must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    pub(super) alternatives: Vec<Vec<Leaf>>,
}

/// A field and the tests of which one must hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Leaf {
    pub(super) path: String,
    pub(super) tests: Vec<Test>,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// When it is none, with the place.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let value: Value = serde_json::from_str(text).map_err(|error| PatternError {
            place: format!("line {}, column {}", error.line(), error.column()),
            reason: "not JSON".into(),
        })?;
        Self::of(&value)
    }

    /// A pattern from JSON that is parsed already.
    ///
    /// # Errors
    /// When it is none, with the place.
    pub fn of(value: &Value) -> Result<Self, PatternError> {
        let Value::Object(members) = value else { return Err(refuse("", "a pattern is a JSON object")) };
        // Where some `$or` is not meant as one, none is: then it is a field of that name (as the open ruler reads it).
        let alternatives = object(members, "", &Reading { or: true, inside: false, depth: 0 })
            .or_else(|error| object(members, "", &Reading { or: false, inside: false, depth: 0 }).map_err(|_| error))?;
        Ok(Self { alternatives })
    }
}

fn refuse(place: &str, reason: impl Into<String>) -> PatternError {
    PatternError { place: if place.is_empty() { "pattern".into() } else { place.to_owned() }, reason: reason.into() }
}

/// How an object of a pattern is read.
struct Reading {
    /// Whether `$or` is one.
    or: bool,
    /// Whether it lies within one.
    inside: bool,
    depth: usize,
}

impl Reading {
    const fn deeper(&self, inside: bool) -> Self {
        Self { or: self.or, inside, depth: self.depth + 1 }
    }
}

fn object(members: &Map<String, Value>, place: &str, reading: &Reading) -> Result<Vec<Vec<Leaf>>, PatternError> {
    if reading.depth > MAX_DEPTH {
        return Err(refuse(place, "it is too deep"));
    }
    if members.is_empty() {
        return Err(refuse(place, "empty objects are not allowed"));
    }
    let mut alternatives: Vec<Vec<Leaf>> = vec![vec![]];
    for (name, value) in members {
        let path = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
        if reading.inside && RESERVED.contains(&name.as_str()) {
            return Err(refuse(&path, "within '$or' no field has the name of an operator"));
        }
        let of_member = match value {
            _ if name == "$or" && reading.or => choices(value, place, &path, reading)?,
            Value::Object(members) => object(members, &path, &reading.deeper(reading.inside))?,
            Value::Array(tests) if tests.is_empty() => return Err(refuse(&path, "empty arrays are not allowed")),
            Value::Array(tests) => {
                let tests = tests.iter().map(|value| test(value, &path)).collect::<Result<_, _>>()?;
                vec![vec![Leaf { path: path.clone(), tests }]]
            }
            _ => return Err(refuse(&path, "it must be an object or an array")),
        };
        if alternatives.len() * of_member.len() > MAX_COMBINATIONS {
            return Err(refuse(&path, format!("its alternatives make more than {MAX_COMBINATIONS} combinations")));
        }
        // What is said twice of a field, as within `$or` and beside it, counts as it was said last.
        let joined = |left: &[Leaf], right: &[Leaf]| -> Vec<Leaf> {
            let kept = left.iter().filter(|leaf| right.iter().all(|other| other.path != leaf.path));
            kept.chain(right).cloned().collect()
        };
        let both = |left: &Vec<Leaf>| of_member.iter().map(|right| joined(left, right)).collect::<Vec<_>>();
        alternatives = alternatives.iter().flat_map(both).collect();
    }
    Ok(alternatives)
}

/// The alternatives of an `$or`.
fn choices(value: &Value, place: &str, path: &str, reading: &Reading) -> Result<Vec<Vec<Leaf>>, PatternError> {
    let choices =
        value.as_array().filter(|choices| choices.len() >= 2).ok_or_else(|| refuse(path, "'$or' is a list of two objects or more"))?;
    let mut all = Vec::new();
    for choice in choices {
        let choice = choice.as_object().ok_or_else(|| refuse(path, "'$or' is a list of objects"))?;
        all.extend(object(choice, place, &reading.deeper(true))?);
        if all.len() > MAX_COMBINATIONS {
            return Err(refuse(path, format!("its alternatives make more than {MAX_COMBINATIONS} combinations")));
        }
    }
    Ok(all)
}

fn test(value: &Value, place: &str) -> Result<Test, PatternError> {
    if let Some(literal) = Scalar::of(value) {
        return Ok(Test::Equals(literal));
    }
    let Value::Object(expression) = value else {
        return Err(refuse(place, "a match value must be a string, a number, true, false or null"));
    };
    let mut members = expression.iter();
    let (Some((operator, operand)), None) = (members.next(), members.next()) else {
        return Err(refuse(place, "a match expression has one operator, neither none nor several"));
    };
    let string = |what: &str| operand.as_str().map(str::to_owned).ok_or_else(|| refuse(place, format!("{what} must be a string")));
    Ok(match operator.as_str() {
        "exactly" => Test::Equals(Scalar::Text(string("'exactly'")?)),
        "prefix" => Test::Prefix(affix(operand, "prefix", place)?),
        "suffix" => Test::Suffix(affix(operand, "suffix", place)?),
        "equals-ignore-case" => Test::AnyCase(AnyCase(string("'equals-ignore-case'")?)),
        "wildcard" => Test::Wildcard(wildcard(operand, place)?),
        "numeric" => numeric(operand, place)?,
        "cidr" => Test::Cidr(Block::parse(&string("'cidr'")?).map_err(|reason| refuse(place, reason))?),
        "exists" => match operand.as_bool() {
            Some(true) => Test::Exists,
            Some(false) => Test::Absent,
            None => return Err(refuse(place, "'exists' is true or false")),
        },
        "anything-but" => Test::Anything(anything(operand, place)?),
        other => return Err(refuse(place, format!("'{}' is no operator", other.chars().take(64).collect::<String>()))),
    })
}

fn wildcard(operand: &Value, place: &str) -> Result<Wildcard, PatternError> {
    let text = operand.as_str().ok_or_else(|| refuse(place, "'wildcard' must be a string"))?;
    Wildcard::parse(text).map_err(|reason| refuse(place, reason))
}

fn affix(operand: &Value, what: &str, place: &str) -> Result<Affix, PatternError> {
    if let Some(text) = operand.as_str() {
        return Ok(Affix { text: text.to_owned(), any_case: false });
    }
    let inner = operand.as_object().filter(|inner| inner.len() == 1).and_then(|inner| inner.get("equals-ignore-case"));
    let text = inner
        .and_then(Value::as_str)
        .ok_or_else(|| refuse(place, format!("'{what}' must be a string, or a string with 'equals-ignore-case'")))?;
    Ok(Affix { text: text.to_owned(), any_case: true })
}

fn numeric(operand: &Value, place: &str) -> Result<Test, PatternError> {
    let list = operand.as_array().ok_or_else(|| refuse(place, "'numeric' must be an array"))?;
    let pair = |at: usize| -> Result<Option<(&str, f64)>, PatternError> {
        let Some(operator) = list.get(at) else { return Ok(None) };
        let operator = operator.as_str().ok_or_else(|| refuse(place, "in 'numeric' an operator is a string"))?;
        let number =
            list.get(at + 1).and_then(Value::as_f64).ok_or_else(|| refuse(place, format!("in 'numeric' a number follows '{operator}'")))?;
        comparable(&list[at + 1..=at + 1], place)?;
        Ok(Some((operator, number)))
    };
    let first = pair(0)?.ok_or_else(|| refuse(place, "'numeric' needs an operator and a number"))?;
    let second = pair(2)?;
    if list.len() > 4 {
        return Err(refuse(place, "too many elements in 'numeric'"));
    }
    let bound = |value: f64, included: bool| Some(Bound { value, included });
    match (first, second) {
        (("=", value), None) => Ok(Test::Numeric { low: bound(value, true), high: bound(value, true) }),
        ((">", value), None) => Ok(Test::Numeric { low: bound(value, false), high: None }),
        ((">=", value), None) => Ok(Test::Numeric { low: bound(value, true), high: None }),
        (("<", value), None) => Ok(Test::Numeric { low: None, high: bound(value, false) }),
        (("<=", value), None) => Ok(Test::Numeric { low: None, high: bound(value, true) }),
        ((above @ (">" | ">="), bottom), Some((below @ ("<" | "<="), top))) => {
            if bottom >= top {
                return Err(refuse(place, "in 'numeric' the lower end must be less than the upper"));
            }
            Ok(Test::Numeric { low: bound(bottom, above == ">="), high: bound(top, below == "<=") })
        }
        _ => Err(refuse(place, "'numeric' is one of = < <= > >= with a number, or a range of > or >= and then < or <=")),
    }
}

/// Refuses numbers that EventBridge does not compare.
fn comparable(list: &[Value], place: &str) -> Result<(), PatternError> {
    match list.iter().filter_map(Value::as_f64).all(is_comparable) {
        true => Ok(()),
        false => Err(refuse(place, "numbers lie between -5.0e9 and 5.0e9, and have up to six decimals")),
    }
}

fn anything(operand: &Value, place: &str) -> Result<Anything, PatternError> {
    match operand {
        Value::Object(inner) => {
            let mut members = inner.iter();
            let (Some((operator, operand)), None) = (members.next(), members.next()) else {
                return Err(refuse(place, "'anything-but' holds one operator, neither none nor several"));
            };
            let texts = |may_be_empty: bool| -> Result<Vec<String>, PatternError> {
                let list = match operand {
                    Value::Array(list) if list.is_empty() => return Err(refuse(place, "empty arrays are not allowed")),
                    Value::Array(list) => list.as_slice(),
                    single => std::slice::from_ref(single),
                };
                let text = |value: &Value| match value.as_str() {
                    Some("") if !may_be_empty => Err(refuse(place, format!("'{operator}' in 'anything-but' must not be empty"))),
                    Some(text) => Ok(text.to_owned()),
                    None => Err(refuse(place, format!("'{operator}' in 'anything-but' must be a string or strings"))),
                };
                list.iter().map(text).collect()
            };
            Ok(match operator.as_str() {
                "prefix" => Anything::ButPrefix(texts(false)?),
                "suffix" => Anything::ButSuffix(texts(false)?),
                "equals-ignore-case" => Anything::ButAnyCase(texts(true)?.into_iter().map(AnyCase).collect()),
                "wildcard" => {
                    let wildcards = texts(true)?;
                    Anything::ButWildcard(
                        wildcards
                            .iter()
                            .map(|text| Wildcard::parse(text).map_err(|reason| refuse(place, reason)))
                            .collect::<Result<_, _>>()?,
                    )
                }
                other => {
                    return Err(refuse(
                        place,
                        format!("'{}' is no operator of 'anything-but'", other.chars().take(64).collect::<String>()),
                    ));
                }
            })
        }
        Value::Array(list) if list.is_empty() => Err(refuse(place, "empty arrays are not allowed")),
        Value::Array(list) => {
            let all_text = list.iter().all(Value::is_string);
            if !all_text && !list.iter().all(Value::is_number) {
                return Err(refuse(place, "'anything-but' holds strings or numbers, not both"));
            }
            comparable(list, place)?;
            Ok(Anything::But(list.iter().filter_map(Scalar::of).collect()))
        }
        Value::String(_) | Value::Number(_) => {
            comparable(std::slice::from_ref(operand), place)?;
            Ok(Anything::But(Scalar::of(operand).into_iter().collect()))
        }
        _ => Err(refuse(place, "'anything-but' holds a string, a number, a list of one of them, or an operator")),
    }
}
