//! Microsoft's security updates: MSRC's monthly CVRF documents (ICASI CVRF 1.1, OASIS CVRF 1.2; XML, and the JSON that its API
//! gives) and its CSAF documents, one for each vulnerability.
//!
//! All of them say which product is affected, which update mends it and to which build that leads; CVRF also which updates each
//! supersedes. Of Microsoft's products only Windows itself is judged: of others nothing here tells which updates are installed.

mod csaf;
mod json;
mod xml;

pub(super) use csaf::read as read_csaf;

use super::{Brought, Format, Parsed, cut, is_cve};
use lestrade_model::{
    Advisory, Affected, Cvss, Ecosystem, Event, Family, FixState, Kb, Range, Reference, Remedies, Remedy, Score, ScoreSource, Severity,
    Timestamp, windows_product,
};
use lestrade_versions::Scheme;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const CVRF_FEED: &str = "msrc";
const CSAF_FEED: &str = "msrc-csaf";
const SOURCE: &str = "MSRC";
/// The most products of a document, and the most remedies of one of them.
const MAX_PRODUCTS: usize = 100_000;
const MAX_REMEDIES: usize = 64;
/// The most updates that one is believed to supersede by itself.
const MAX_SUPERSEDED: usize = 64;

pub(super) struct Cvrf;

impl Format for Cvrf {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        match document {
            Parsed::Xml(root, _) => root == "cvrfdoc",
            Parsed::Object(document) => ["DocumentTracking", "ProductTree", "Vulnerability"].iter().all(|key| document.contains_key(*key)),
            _ => false,
        }
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let read = match document {
            Parsed::Xml(_, text) => xml::read(text),
            Parsed::Object(document) => json::read(&document),
            _ => return Brought::default(),
        };
        match read {
            Ok(bulletin) => bulletin.brought(name, CVRF_FEED),
            Err(reason) => Brought::refused(name, reason),
        }
    }
}

/// A document, whatever its syntax.
#[derive(Default)]
struct Bulletin {
    /// Names by product id.
    products: HashMap<String, String>,
    vulnerabilities: Vec<Vulnerability>,
}

/// What a document says of one vulnerability; products by their ids.
#[derive(Default)]
struct Vulnerability {
    id: String,
    title: String,
    description: String,
    cwes: Vec<String>,
    affected: BTreeSet<String>,
    /// Microsoft's word for how bad it is, by product.
    severities: Vec<(String, String)>,
    /// The word of a document that has one for all products.
    severity: String,
    vectors: Vec<String>,
    remediations: Vec<Remediation>,
    /// The dates of its revisions.
    revised: Vec<String>,
}

/// What becomes of it in some products.
#[derive(Default)]
struct Remediation {
    kind: Kind,
    /// The update's article, or another word for it.
    description: String,
    url: String,
    /// `Security Update`, `Monthly Rollup`, `Security Only`, `Security Hotpatch Update`.
    sub_type: String,
    supersedes: String,
    build: String,
    products: Vec<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    Fix,
    WillNotFix,
    /// Workarounds, mitigations, known issues, and that there is none.
    #[default]
    Other,
}

impl Remediation {
    /// The update that it is: its description names the article, or the address of where it is to be had does.
    fn update(&self) -> Option<Kb> {
        let of_address = || {
            let end = self.url.split('#').next().unwrap_or_default().rsplit(['/', '=']).next().unwrap_or_default();
            let is_microsofts = self.url.contains("support.microsoft.com/") || self.url.contains("catalog.update.microsoft.com/");
            is_microsofts.then(|| end.parse().ok()).flatten()
        };
        self.description.parse().ok().or_else(of_address)
    }

    fn is_hotpatch(&self) -> bool {
        self.sub_type.to_ascii_lowercase().contains("hotpatch")
    }

    /// The build that it leads to, if that tells of all earlier updates: those of Windows 10 and later bring all that came before
    /// them, those of earlier systems need not.
    fn cumulative_build(&self) -> Option<&str> {
        let build = self.build.trim();
        (build.starts_with("10.0.") && build.split('.').count() == 4 && Scheme::Windows.is_valid(build)).then_some(build)
    }

    /// How far it is the one to recommend: what brings more comes first.
    fn rank(&self) -> usize {
        let sub_type = self.sub_type.to_ascii_lowercase();
        ["hotpatch", "security only", "ie cumulative"].iter().position(|word| sub_type.contains(word)).map_or(0, |place| place + 1)
    }
}

impl Bulletin {
    /// Notes a product's name.
    fn product(&mut self, id: &str, name: &str) -> Result<(), String> {
        if self.products.len() >= MAX_PRODUCTS {
            return Err("it has more products than any real one".into());
        }
        if !id.is_empty() {
            self.products.insert(id.to_owned(), name.trim().to_owned());
        }
        Ok(())
    }

    fn brought(&self, name: &str, feed: &str) -> Brought {
        if self.vulnerabilities.is_empty() {
            return Brought::refused(name, "no vulnerability in it");
        }
        let mut brought = Brought::default();
        let windows: HashMap<&str, String> =
            self.products.iter().filter_map(|(id, name)| Some((id.as_str(), windows_product(name)?))).collect();
        for vulnerability in &self.vulnerabilities {
            // Advisories of no vulnerability are guidance: one of them lists every update of the servicing stack.
            if vulnerability.id.starts_with("ADV") {
                continue;
            }
            if !is_cve(&vulnerability.id) {
                let id: String = vulnerability.id.chars().take(40).collect();
                brought.quarantined.push((format!("{name}: '{id}'"), "no id of the CVE list".into()));
                continue;
            }
            match vulnerability.entries(&windows) {
                // Of another product: Office, Edge, or a package of Azure Linux, which has a feed of its own.
                Ok(affected) if affected.is_empty() => {}
                Ok(affected) => brought.advisories.push(vulnerability.advisory(feed, affected)),
                Err(reason) => brought.quarantined.push((format!("{name}: {}", vulnerability.id), reason)),
            }
        }
        brought
    }
}

impl Vulnerability {
    fn advisory(&self, feed: &str, affected: Vec<Affected>) -> Advisory {
        let mut scores: Vec<Score> = Vec::new();
        for cvss in self.vectors.iter().filter_map(|vector| Cvss::parse(vector).ok()) {
            let score = Score { cvss, source: ScoreSource(SOURCE.into()) };
            if !scores.contains(&score) {
                scores.push(score);
            }
        }
        let worst = affected.iter().filter_map(|entry| entry.vendor_severity.as_ref()).max_by_key(|word| Severity::of_word(word));
        let mut dates: Vec<Timestamp> = self.revised.iter().filter_map(|date| time(date)).collect();
        dates.sort_unstable();
        Advisory {
            summary: cut(&self.title),
            details: cut(&without_tags(&self.description)),
            published: dates.first().copied(),
            modified: dates.last().copied(),
            vendor_severity: worst.cloned(),
            scores,
            cwes: self.cwes.clone(),
            references: vec![Reference { url: format!("https://msrc.microsoft.com/update-guide/vulnerability/{}", self.id) }],
            affected,
            ..Advisory::new(feed, &self.id)
        }
    }

    /// What it says of each product of Windows.
    fn entries(&self, windows: &HashMap<&str, String>) -> Result<Vec<Affected>, String> {
        let mut by_product: BTreeMap<&str, Vec<&Remediation>> = BTreeMap::new();
        for remediation in &self.remediations {
            for id in remediation.products.iter().filter(|id| self.affected.contains(*id) && windows.contains_key(id.as_str())) {
                by_product.entry(id).or_default().push(remediation);
            }
        }
        let words: HashMap<&str, &String> = self.severities.iter().map(|(id, word)| (id.as_str(), word)).collect();
        let mut entries: BTreeMap<&str, Affected> = BTreeMap::new();
        for id in &self.affected {
            let Some(product) = windows.get(id.as_str()) else { continue };
            let remediations = by_product.get(id.as_str()).map(Vec::as_slice).unwrap_or_default();
            let word = words.get(id.as_str()).copied().unwrap_or(&self.severity);
            let severity = Some(word).filter(|word| !word.is_empty());
            let entry = entry(product, remediations)?;
            entries.insert(product, Affected { vendor_severity: severity.map(|word| word.chars().take(64).collect()), ..entry });
        }
        Ok(entries.into_values().collect())
    }
}

/// What is said of a product with these remediations.
fn entry(product: &str, remediations: &[&Remediation]) -> Result<Affected, String> {
    let ecosystem = Ecosystem::release(Family::Windows, product);
    let mut fixes: Vec<&Remediation> = remediations.iter().copied().filter(|one| one.kind == Kind::Fix).collect();
    if fixes.len() > MAX_REMEDIES {
        return Err(format!("{} remedies of '{product}'", fixes.len()));
    }
    fixes.sort_by_key(|one| one.rank());
    let mut remedies = Remedies::default();
    for fix in &fixes {
        let Some(update) = fix.update() else { continue };
        let supersedes = Kb::all_in(&fix.supersedes).filter(|superseded| *superseded != update).take(MAX_SUPERSEDED).collect();
        let hotpatch = if fix.is_hotpatch() { fix.cumulative_build().map(str::to_owned) } else { None };
        let remedy = Remedy { update, supersedes, hotpatch };
        match remedies.remedies.iter_mut().find(|known| known.update == update) {
            Some(known) => known.supersedes.extend(remedy.supersedes),
            None => remedies.remedies.push(remedy),
        }
    }
    // Of several builds only the last has the fix for certain.
    let builds = fixes.iter().filter(|fix| !fix.is_hotpatch()).filter_map(|fix| fix.cumulative_build());
    let build = builds.max_by(|a, b| Scheme::Windows.compare(a, b));
    let unfixed =
        if remediations.iter().any(|one| one.kind == Kind::WillNotFix) && fixes.is_empty() { FixState::WillNotFix } else { FixState::Open };
    let mut entry = Affected::always(ecosystem, product, unfixed);
    if let Some(build) = build {
        entry.ranges.iter_mut().for_each(|range: &mut Range| range.events.push(Event::Fixed(build.to_owned())));
    }
    entry.module = (!remedies.remedies.is_empty()).then(|| remedies.to_string());
    Ok(entry)
}

/// MSRC's times are UTC and do not say so.
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|_| Timestamp::parse(&format!("{text}Z"))).ok()
}

/// The text of a piece of HTML.
fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => inside = false,
            c if !inside => text.push(c),
            _ => {}
        }
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'").replace("&nbsp;", " ");
    text.replace("&amp;", "&").split('\n').map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests;
