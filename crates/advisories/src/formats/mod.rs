//! The formats that feeds come in: one file for each, behind one trait. A document says by its own content which it is of.

mod alpine_rejections;
mod anchore;
mod arch;
mod bodhi;
mod bottlerocket;
mod cpe;
mod csaf;
mod cve5;
mod debian_lists;
mod debian_support;
mod debian_tracker;
mod endoflife;
mod exploitation;
mod exploits;
mod friends_of_php;
mod ghsa;
mod hsec;
mod msrc;
mod nodejs;
mod nvd;
mod osv;
mod oval;
mod photon;
mod retirejs;
mod rubysec;
mod secdb;
mod ubuntu;
mod ubuntu_vex;
mod uct;
mod updateinfo;
mod xml;

pub(crate) use anchore::OVERRIDES as NVD_OVERRIDES;
pub(crate) use cve5::FEED as CVE_FEED;
pub(crate) use debian_support::NAME as DEBIAN_SUPPORT;
pub(crate) use exploits::Exploits;
pub(crate) use nvd::FEED as NVD_FEED;
pub use osv::{Quarantine, read_osv};
pub(crate) use secdb::{FEED as ALPINE_FEED, prefix as alpine_prefix};
pub(crate) use updateinfo::{Indexed, index_of_repository};

use crate::documents::Syntax;
use lestrade_model::{Advisory, ExploitSource, KnownExploited, Lifecycle, Ssvc};
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
    /// Published exploits of one source.
    pub(crate) exploits: Option<(ExploitSource, Exploits)>,
    /// CISA's answers about a vulnerability; none where a record of it has none.
    pub(crate) ssvc: Option<(String, Option<Ssvc>)>,
    /// Until when operating systems are looked after.
    pub(crate) lifecycles: Option<Vec<Lifecycle>>,
    /// The date that the document bears, where it is one that must not go back.
    pub(crate) dated: Option<String>,
    /// Whether it is a document of no format that is read.
    pub(crate) is_unknown: bool,
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
    &exploits::ExploitDb,
    &exploits::Metasploit,
    &exploits::Nuclei,
    &endoflife::EndOfLife,
    &csaf::Csaf,
    &msrc::Cvrf,
    &nvd::Nvd,
    &cve5::Cve5,
    &anchore::Enrichment,
    &anchore::Overrides,
    &photon::Photon,
    &bottlerocket::Bottlerocket,
    &rubysec::RubySec,
    &friends_of_php::FriendsOfPhp,
    &ghsa::Ghsa,
    &updateinfo::UpdateInfo,
    &oval::Oval,
    &debian_support::DebianSupport,
    &debian_lists::DebianLists,
    &hsec::Hsec,
    &bodhi::Bodhi,
    &arch::Arch,
    &retirejs::RetireJs,
    &uct::Uct,
    &ubuntu_vex::UbuntuVex,
    &alpine_rejections::AlpineRejections,
    // Its shape is the loosest, so it is asked last.
    &debian_tracker::DebianTracker,
];

/// The parsers by name, each with a document's name and syntax by which it is come to: what fuzz targets are made of.
const PARSERS: &[(&str, &str, Syntax)] = &[
    ("osv", "x.json", Syntax::Json),
    ("nodejs", "npm/1.json", Syntax::Json),
    ("secdb", "main.json", Syntax::Json),
    ("epss", "epss.csv", Syntax::Csv),
    ("kev", "kev.json", Syntax::Json),
    ("exploit-db", "files_exploits.csv", Syntax::Csv),
    ("metasploit", "modules_metadata_base.json", Syntax::Json),
    ("nuclei", "cves.json", Syntax::Json),
    ("endoflife", "full.json", Syntax::Json),
    ("csaf", "cve.json", Syntax::Json),
    ("nvd", "page.json", Syntax::Json),
    ("cve5", "x.json", Syntax::Json),
    ("photon", "cve_data_photon4.0.json", Syntax::Json),
    ("bottlerocket", "2.9.1/BRSA-x.toml", Syntax::Toml),
    ("rubysec", "gems/x/CVE-2021-1.yml", Syntax::Yaml),
    ("friends-of-php", "a/b/CVE-2021-43808.yaml", Syntax::Yaml),
    ("updateinfo", "updateinfo.xml", Syntax::Xml),
    ("oval", "elsa.xml", Syntax::Xml),
    ("debian-lists", "data/DSA/list", Syntax::Text),
    ("hsec", "HSEC-2023-0009.md", Syntax::Text),
    ("bodhi", "update.json", Syntax::Json),
    ("retirejs", "jsrepository.json", Syntax::Json),
    ("uct", "active/CVE-2019-9511", Syntax::Text),
    ("debian-tracker", "data.json", Syntax::Json),
    ("github", "advisories.json", Syntax::Json),
    ("msrc", "2022-Dec.json", Syntax::Json),
    ("msrc-xml", "2023-Jan.xml", Syntax::Xml),
    ("msrc-csaf", "msrc_cve-2023-21674.json", Syntax::Json),
    ("arch", "all.json", Syntax::Json),
    ("anchore", "CVE-2024-29999.json", Syntax::Json),
    ("nvd-overrides", "CVE-2019-7317.json", Syntax::Json),
    ("ubuntu-vex", "CVE-2023-38545.json", Syntax::Json),
    ("alpine-rejections", "main.yaml", Syntax::Yaml),
    ("debian-support", "security-support-ended.deb12", Syntax::Text),
];

/// The parser of what suppliers say of their products, which is brought in by another way than feeds.
const VEX_PARSER: &str = "vex";

/// Reads any bytes as a document of a format, as an import would. Answers whether anything of it could be used; none when there is
/// no parser of this name.
#[must_use]
pub fn fuzz_parser(parser: &str, bytes: &[u8]) -> Option<bool> {
    if parser == VEX_PARSER {
        return Some(crate::parse_vex(bytes, parser).is_ok_and(|statements| !statements.is_empty()));
    }
    let (_, name, syntax) = PARSERS.iter().find(|(known, _, _)| *known == parser)?;
    let brought = read(name, *syntax, &String::from_utf8_lossy(bytes));
    // Whatever was read is what an index has to hold.
    brought.advisories.iter().for_each(|advisory| drop(lestrade_matching::encode_advisory(advisory)));
    Some(
        !brought.advisories.is_empty()
            || brought.epss.is_some()
            || brought.kev.is_some()
            || brought.exploits.is_some()
            || brought.lifecycles.is_some(),
    )
}

/// The names of all parsers.
pub fn parsers() -> impl Iterator<Item = &'static str> {
    PARSERS.iter().map(|(name, _, _)| *name).chain([VEX_PARSER])
}

/// A document as far as its syntax goes.
fn parsed(syntax: Syntax, text: &str) -> Result<Parsed<'_>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let value = |parsed: Result<Value, String>| match parsed? {
        Value::Object(object) => Ok(Parsed::Object(object)),
        Value::Array(list) => Ok(Parsed::List(list)),
        _ => Err("neither an object nor a list".to_owned()),
    };
    match syntax {
        Syntax::Csv => Ok(Parsed::Lines(text)),
        Syntax::Text => Ok(Parsed::Text(text)),
        Syntax::Json => match serde_json::from_str(text) {
            Ok(parsed) => value(Ok(parsed)),
            // An object on each line is a list of them.
            Err(error) => objects_on_lines(text).map(Parsed::List).ok_or_else(|| error.to_string()),
        },
        Syntax::Yaml => value(serde_saphyr::from_str(text).map_err(|error| error.to_string())),
        Syntax::Toml => value(toml::from_str(text).map_err(|error| error.message().to_owned())),
        Syntax::Xml => xml::root(text).map(|root| Parsed::Xml(root, text)),
    }
}

/// Reads a document of any format.
pub(crate) fn read(name: &str, syntax: Syntax, text: &str) -> Brought {
    match parsed(syntax, text) {
        Ok(document) => match FORMATS.iter().find(|format| format.recognises(name, &document)) {
            Some(format) => format.read(name, document),
            None => Brought { is_unknown: true, ..Brought::refused(name, "none of the formats that are read") },
        },
        Err(reason) => Brought::refused(name, reason.lines().next().unwrap_or_default()),
    }
}

/// The objects of a text that has one on each line; none where a line has none.
fn objects_on_lines(text: &str) -> Option<Vec<Value>> {
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let parsed = || lines().map(|line| serde_json::from_str::<Map<String, Value>>(line).ok().map(Value::Object));
    lines().nth(1)?;
    parsed().collect()
}

/// An object as the record of a format, or why it is none.
fn record<T: DeserializeOwned>(document: Parsed<'_>) -> Result<T, String> {
    let Parsed::Object(document) = document else { return Err("not an object".into()) };
    serde_json::from_value(Value::Object(document)).map_err(|error| error.to_string())
}

/// The longest text that is kept: nobody reads further.
pub(crate) const MAX_TEXT: usize = 64 << 10;
/// The longest text that anybody writes. One that is longer is no text.
const MAX_WRITTEN: usize = 1 << 20;

/// The first 64 KiB of a text. Of one that nobody wrote more is left, so that its record is noticed.
fn cut(text: &str) -> String {
    let most = if text.len() > MAX_WRITTEN { 2 * MAX_TEXT } else { MAX_TEXT };
    text[..text.floor_char_boundary(most)].to_owned()
}

/// Whether a text is the id of a vulnerability in the CVE list.
fn is_cve(text: &str) -> bool {
    let Some((year, number)) = text.strip_prefix("CVE-").and_then(|rest| rest.split_once('-')) else { return false };
    let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    digits(year, 4..=4) && digits(number, 4..=19)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_format_has_a_parser_and_a_seed() {
        let mut seen = BTreeSet::new();
        for (parser, name, syntax) in PARSERS {
            let seed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(parser);
            let text = std::fs::read_to_string(seed).unwrap();
            let document = parsed(*syntax, text.trim_start_matches('\u{feff}')).unwrap();
            seen.extend(FORMATS.iter().position(|format| format.recognises(name, &document)));
        }
        assert_eq!(seen, (0..FORMATS.len()).collect(), "places in the list of formats");
    }
}
