//! Repositories' `updateinfo.xml`, as Amazon Linux, AlmaLinux, Rocky Linux, Fedora and others publish it: what each update fixed.
//!
//! It speaks of fixes alone. Amazon's second Linux has repositories beside the core, each a line of versions of its own
//! (`ALAS2KERNEL-5.15-…`, `ALAS2PHP8.0-…`): a fix in such a line says nothing of packages of another, so its range begins where the
//! line does.

use super::xml::{Element, each_element};
use super::{Brought, Format, Parsed, cut, is_cve};
use lestrade_model::{Advisory, Affected, Ecosystem, Event, Family, Reference, Timestamp};
use lestrade_versions::Scheme;
use std::collections::BTreeMap;

const FEED: &str = "updateinfo";

pub(super) struct UpdateInfo;

impl Format for UpdateInfo {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Xml(root, _) if root == "updates")
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Xml(_, text) = document else { return Brought::default() };
        let mut brought = Brought::default();
        let whole = each_element(text, &["update"], &mut |update| match advisory(&update) {
            Ok(Some(advisory)) => brought.advisories.push(advisory),
            Ok(None) => {}
            Err(reason) => brought.quarantined.push((format!("{name}: {}", update.value("id")), reason)),
        });
        match whole {
            Ok(()) => brought,
            // Half a list of fixes would call the other half clean.
            Err(reason) => Brought::refused(name, reason),
        }
    }
}

fn advisory(update: &Element) -> Result<Option<Advisory>, String> {
    let id = update.value("id");
    if id.is_empty() || id.len() > 128 {
        return Err("an update without an id".into());
    }
    let references = || update.all("references").flat_map(|list| list.all("reference"));
    let mut upstream: Vec<String> =
        references().map(|reference| reference.attribute("id")).filter(|id| is_cve(id)).map(str::to_owned).collect();
    upstream.sort_unstable();
    upstream.dedup();
    // Updates that fix no vulnerability are most of those of some repositories.
    if upstream.is_empty() && update.attribute("type") != "security" {
        return Ok(None);
    }
    let mut newest: BTreeMap<(Ecosystem, String), String> = BTreeMap::new();
    for package in update.all("pkglist").flat_map(|list| list.all("collection")).flat_map(|collection| collection.all("package")) {
        let (name, version, release) = (package.attribute("name"), package.attribute("version"), package.attribute("release"));
        if name.is_empty() || version.is_empty() || package.attribute("arch") == "src" {
            continue;
        }
        let Some(ecosystem) = ecosystem(id, update, release) else {
            return Err("an update of a distribution that is not known".into());
        };
        let epoch = Some(package.attribute("epoch")).filter(|epoch| !epoch.is_empty() && *epoch != "0");
        let full = format!("{}{version}-{release}", epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default());
        let fixed = newest.entry((ecosystem, name.to_owned())).or_insert_with(|| full.clone());
        if Scheme::Rpm.compare(fixed, &full).is_lt() {
            *fixed = full;
        }
    }
    let line = line(id);
    let affected = newest.into_iter().map(|((ecosystem, name), fixed)| {
        let mut affected = Affected::before(ecosystem, &name, &fixed);
        if let Some(line) = line {
            let epoch = fixed.split_once(':').map_or(String::new(), |(epoch, _)| format!("{epoch}:"));
            affected.ranges.iter_mut().for_each(|range| {
                range.events.retain(|event| !matches!(event, Event::Introduced(_)));
                range.events.insert(0, Event::Introduced(format!("{epoch}{line}")));
            });
        }
        affected
    });
    let date = |what: &str| update.child(what).and_then(|element| day(element.attribute("date")));
    let severity = update.value("severity");
    Ok(Some(Advisory {
        upstream,
        summary: cut(update.value("title")),
        details: cut(update.value("description")),
        published: date("issued"),
        modified: date("updated"),
        vendor_severity: (!severity.is_empty()).then(|| severity.chars().take(64).collect()),
        references: references()
            .filter(|reference| reference.attribute("href").starts_with("http"))
            .take(100)
            .map(|reference| Reference { url: reference.attribute("href").chars().take(2048).collect() })
            .collect(),
        affected: affected.collect(),
        ..Advisory::new(FEED, id)
    }))
}

/// Which distribution and release an update is of: by its id, and where that does not say the release, by the packages'.
fn ecosystem(id: &str, update: &Element, release: &str) -> Option<Ecosystem> {
    let prefix = id.split('-').next().unwrap_or_default();
    let generation = || {
        let at = release.find(".el").or_else(|| release.find("+el")).or_else(|| release.find("_el"))?;
        let digits: String = release[at + 3..].chars().take_while(char::is_ascii_digit).collect();
        (!digits.is_empty()).then_some(digits)
    };
    Some(match prefix {
        "ALAS" => Ecosystem::release(Family::Amazon, amazon_release(update)),
        _ if prefix.starts_with("ALAS2023") => Ecosystem::release(Family::Amazon, "2023"),
        _ if prefix.starts_with("ALAS2022") => Ecosystem::release(Family::Amazon, "2022"),
        _ if prefix.starts_with("ALAS2") => Ecosystem::release(Family::Amazon, "2"),
        "ALSA" | "ALBA" | "ALEA" => Ecosystem::release(Family::AlmaLinux, &generation()?),
        "RLSA" | "RLBA" | "RLEA" | "RXSA" => Ecosystem::release(Family::RockyLinux, &generation()?),
        "ELSA" | "ELBA" => Ecosystem::release(Family::Oracle, &generation()?),
        "RHSA" | "RHBA" => Ecosystem::release(Family::RedHat, &generation()?),
        "FEDORA" => {
            let at = release.rfind(".fc")?;
            let digits: String = release[at + 3..].chars().take_while(char::is_ascii_digit).collect();
            Ecosystem::release(Family::Fedora, &digits)
        }
        _ => return None,
    })
}

/// The first Amazon Linux and the second share the plain prefix; the collection says which it is.
fn amazon_release(update: &Element) -> &'static str {
    let names = || update.all("pkglist").flat_map(|list| list.all("collection")).map(|collection| collection.attribute("short"));
    if names().any(|name| name.starts_with("amazon-linux-2")) { "2" } else { "1" }
}

/// The version that a line of packages beside the core begins with: `5.15` of `ALAS2KERNEL-5.15-2022-001`, `8.0` of
/// `ALAS2PHP8.0-2023-001`, none of the core and of lines without a number (`ALAS2DOCKER-…`).
fn line(id: &str) -> Option<&str> {
    let rest = id.strip_prefix("ALAS2").filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))?;
    // The year and the number come last.
    let topic = rest.rsplitn(3, '-').nth(2)?;
    let at = topic.rfind(|c: char| !(c.is_ascii_digit() || c == '.')).map_or(0, |at| at + 1);
    Some(&topic[at..]).filter(|version| !version.is_empty())
}

/// `2023-02-17 20:41:00`, with or without its seconds or its time.
fn day(text: &str) -> Option<Timestamp> {
    Timestamp::parse(&format!("{}T00:00:00Z", text.get(..10)?)).ok()
}

/// A file that a repository's index names.
pub(crate) struct Indexed {
    /// Its path below the repository.
    pub(crate) path: String,
    /// The SHA-256 of its bytes as they lie there, in hexadecimal.
    pub(crate) sha256: String,
}

/// What a repository's index (`repomd.xml`) says of its file of a kind; none where the repository has no such file.
///
/// # Errors
/// When it is no index, which every repository's list of packages is in, or names the file by no safe path or no SHA-256.
pub(crate) fn index_of_repository(text: &str, kind: &str) -> Result<Option<Indexed>, String> {
    let (mut found, mut is_index) = (None, false);
    each_element(text, &["data"], &mut |data| {
        is_index |= data.attribute("type") == "primary";
        if data.attribute("type") == kind {
            found = Some(data);
        }
    })?;
    let Some(data) = found else {
        return if is_index { Ok(None) } else { Err("it is no index of a repository".to_owned()) };
    };
    let path = data.child("location").map_or("", |location| location.attribute("href"));
    let sum = data.child("checksum").filter(|sum| sum.attribute("type") == "sha256").map_or("", |sum| sum.text.as_str());
    let safe =
        path.starts_with("repodata/") && !path.contains("..") && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    if !safe || sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(format!("the repository's index names its {kind} by no safe path or no SHA-256"));
    }
    Ok(Some(Indexed { path: path.to_owned(), sha256: sum.to_ascii_lowercase() }))
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;

    fn update(id: &str, kind: &str, packages: &str) -> String {
        format!(
            "<?xml version='1.0'?><updates><update type='{kind}'><id>{id}</id><title>t</title><issued date='2023-02-17 20:41:00'/>\
             <severity>Important</severity><references><reference href='https://x/CVE-2023-1000' id='CVE-2023-1000' type='cve'/></references>\
             <pkglist><collection short='amazon-linux-ami'>{packages}</collection></pkglist></update></updates>"
        )
    }

    fn read(text: &str) -> Vec<String> {
        let brought = super::super::read("updateinfo.xml", Syntax::Xml, text);
        let shown = brought.advisories.iter().flat_map(|advisory| {
            let about = advisory.vulnerabilities().join(" ");
            advisory
                .affected
                .iter()
                .map(move |affected| format!("{about} {} {} {:?}", affected.ecosystem, affected.name, affected.ranges[0].events))
        });
        shown.chain(brought.quarantined.iter().map(|(id, reason)| format!("{id}: {reason}"))).collect()
    }

    const KERNEL: &str = "<package name='kernel' epoch='0' version='5.15.43' release='20.1' arch='x86_64'/>\
        <package name='kernel' epoch='0' version='5.15.43' release='20.1' arch='src'/>";

    #[test]
    fn fixes_become_ranges_of_their_release_and_line() {
        assert_eq!(
            read(&update("ALAS2023-2023-001", "security", KERNEL)),
            ["CVE-2023-1000 Amazon Linux:2023 kernel [Introduced(\"0\"), Fixed(\"5.15.43-20.1\")]"]
        );
        assert_eq!(
            read(&update("ALAS2KERNEL-5.15-2022-001", "security", KERNEL)),
            ["CVE-2023-1000 Amazon Linux:2 kernel [Introduced(\"5.15\"), Fixed(\"5.15.43-20.1\")]"],
            "the kernel of the core is none of this line's"
        );
        let php = "<package name='php' epoch='1' version='8.0.30' release='1.amzn2' arch='x86_64'/>";
        assert_eq!(
            read(&update("ALAS2PHP8.0-2023-001", "security", php)),
            ["CVE-2023-1000 Amazon Linux:2 php [Introduced(\"1:8.0\"), Fixed(\"1:8.0.30-1.amzn2\")]"]
        );
        assert_eq!(
            read(&update("ALAS-2018-939", "security", KERNEL)),
            ["CVE-2023-1000 Amazon Linux:1 kernel [Introduced(\"0\"), Fixed(\"5.15.43-20.1\")]"]
        );
        let rocky = "<package name='nginx' epoch='1' version='1.22' release='2.module+el9.1.0+1' arch='x86_64'/>";
        assert_eq!(
            read(&update("RLSA-2023:1", "bugfix", rocky)),
            ["CVE-2023-1000 Rocky Linux:9 nginx [Introduced(\"0\"), Fixed(\"1:1.22-2.module+el9.1.0+1\")]"]
        );
    }

    #[test]
    fn a_list_that_is_cut_is_refused_as_a_whole() {
        let text = update("ALAS2023-2023-001", "security", KERNEL);
        for cut in 0..text.len() {
            assert_eq!(super::super::read("u.xml", Syntax::Xml, &text[..cut]).advisories.len(), 0, "cut at {cut}");
        }
        assert_eq!(read(&update("XXSA-1", "security", KERNEL)), ["updateinfo.xml: XXSA-1: an update of a distribution that is not known"]);
    }
}
