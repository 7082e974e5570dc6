//! The formats that feeds come in: one file for each, behind one trait. A document says by its own content which it is of.

mod bodhi;
mod bottlerocket;
mod csaf;
mod cve5;
mod debian_lists;
mod debian_tracker;
mod exploitation;
mod friends_of_php;
mod hsec;
mod nodejs;
mod nvd;
mod osv;
mod oval;
mod photon;
mod retirejs;
mod rubysec;
mod secdb;
mod ubuntu;
mod uct;
mod updateinfo;
mod xml;

pub use osv::{Quarantine, read_osv};
pub(crate) use secdb::{FEED as ALPINE_FEED, prefix as alpine_prefix};
pub(crate) use updateinfo::index_of_repository;

use crate::documents::Syntax;
use lestrade_model::{Advisory, KnownExploited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// EPSS by CVE: probability and percentile.
pub(crate) type EpssScores = BTreeMap<String, (f32, f32)>;

/// A document as far as its syntax goes.
pub(crate) enum Parsed<'a> {
    /// JSON, YAML or TOML: an object.
    Object(Map<String, Value>),
    /// JSON or YAML: a list.
    List(Vec<Value>),
    /// Lines of values between commas.
    Lines(&'a str),
    /// Text of a form of its own.
    Text(&'a str),
    /// XML, by the name of its root element.
    Xml(String, &'a str),
}

/// What a document brings.
#[derive(Default)]
pub(crate) struct Brought {
    /// Records.
    pub(crate) advisories: Vec<Advisory>,
    /// What of it could not be used, with the reason.
    pub(crate) quarantined: Vec<(String, String)>,
    /// A day of EPSS.
    pub(crate) epss: Option<EpssScores>,
    /// CISA's catalogue of exploited vulnerabilities.
    pub(crate) kev: Option<BTreeMap<String, KnownExploited>>,
    /// The date that the document bears, where it is one that must not go back.
    pub(crate) dated: Option<String>,
}

impl Brought {
    /// A document that cannot be used as a whole.
    fn refused(name: &str, reason: impl Into<String>) -> Self {
        Self { quarantined: vec![(name.to_owned(), reason.into())], ..Self::default() }
    }
}

/// A format.
pub(crate) trait Format: Sync {
    /// Whether a document (with the name that it has in its folder or archive) is of this format.
    fn recognises(&self, name: &str, document: &Parsed<'_>) -> bool;

    /// Reads it. What of it cannot be used is quarantined, the rest is kept.
    fn read(&self, name: &str, document: Parsed<'_>) -> Brought;
}

const FORMATS: &[&dyn Format] = &[
    // Their ids are no OSV records'.
    &nodejs::NodeJs,
    &osv::Osv,
    &secdb::Secdb,
    &exploitation::Epss,
    &exploitation::Kev,
    &csaf::Csaf,
    &nvd::Nvd,
    &cve5::Cve5,
    &photon::Photon,
    &bottlerocket::Bottlerocket,
    &rubysec::RubySec,
    &friends_of_php::FriendsOfPhp,
    &updateinfo::UpdateInfo,
    &oval::Oval,
    &debian_lists::DebianLists,
    &hsec::Hsec,
    &bodhi::Bodhi,
    &retirejs::RetireJs,
    &uct::Uct,
    // Its shape is the loosest, so it is asked last.
    &debian_tracker::DebianTracker,
];

/// Reads a document of any format.
pub(crate) fn read(name: &str, syntax: Syntax, text: &str) -> Brought {
    let text = text.trim_start_matches('\u{feff}');
    let value = |parsed: Result<Value, String>| match parsed? {
        Value::Object(object) => Ok(Parsed::Object(object)),
        Value::Array(list) => Ok(Parsed::List(list)),
        _ => Err("neither an object nor a list".to_owned()),
    };
    let parsed = match syntax {
        Syntax::Csv => Ok(Parsed::Lines(text)),
        Syntax::Text => Ok(Parsed::Text(text)),
        Syntax::Json => value(serde_json::from_str(text).map_err(|error| error.to_string())),
        Syntax::Yaml => value(serde_saphyr::from_str(text).map_err(|error| error.to_string())),
        Syntax::Toml => value(toml::from_str(text).map_err(|error| error.message().to_owned())),
        Syntax::Xml => xml::root(text).map(|root| Parsed::Xml(root, text)),
    };
    match parsed {
        Ok(document) => match FORMATS.iter().find(|format| format.recognises(name, &document)) {
            Some(format) => format.read(name, document),
            None => Brought::refused(name, "none of the formats that are read"),
        },
        Err(reason) => Brought::refused(name, reason.lines().next().unwrap_or_default()),
    }
}

/// An object as the record of a format, or why it is none.
fn record<T: DeserializeOwned>(document: Parsed<'_>) -> Result<T, String> {
    let Parsed::Object(document) = document else { return Err("not an object".into()) };
    serde_json::from_value(Value::Object(document)).map_err(|error| error.to_string())
}

/// The first 64 KiB of a text: nobody reads further.
fn cut(text: &str) -> String {
    const MAX_TEXT: usize = 64 << 10;
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

/// Whether a text is the id of a vulnerability in the CVE list.
fn is_cve(text: &str) -> bool {
    let Some((year, number)) = text.strip_prefix("CVE-").and_then(|rest| rest.split_once('-')) else { return false };
    let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    digits(year, 4..=4) && digits(number, 4..=19)
}
