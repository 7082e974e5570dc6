//! Debian's lists of security advisories, `data/DSA/list` and `data/DLA/list` of the security tracker: a head with date, id and
//! title, the CVEs in braces, and for each release the source package with the version that fixes them.
//!
//! The lists know what was fixed and little else: a package that they do not name is not thereby safe.

use super::debian_tracker::release_number;
use super::{Brought, Format, Parsed, cut};
use lestrade_model::{Advisory, Affected, Ecosystem, Family, FixState, Timestamp};

const FEED: &str = "debian-advisories";

pub(super) struct DebianLists;

impl Format for DebianLists {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Text(text) if text.lines().find(|line| !line.is_empty()).is_some_and(|line| head(line).is_some()))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Text(text) = document else { return Brought::default() };
        let mut brought = Brought::default();
        let mut open: Option<Advisory> = None;
        for line in text.lines() {
            if line.starts_with(|c: char| !c.is_whitespace()) {
                brought.advisories.extend(open.take().filter(is_about_something));
                open = head(line);
                if open.is_none() {
                    brought.quarantined.push((name.to_owned(), format!("'{}' is no head", line.chars().take(80).collect::<String>())));
                }
            } else if let Some(advisory) = &mut open {
                let line = line.trim();
                if let Some(ids) = line.strip_prefix('{') {
                    advisory.upstream.extend(ids.trim_end_matches('}').split_whitespace().map(str::to_owned));
                } else {
                    advisory.affected.extend(affected(line));
                }
            }
        }
        brought.advisories.extend(open.filter(is_about_something));
        brought
    }
}

/// Later numbers of an advisory (`DSA-5356-2`) mend what an earlier one broke: without a CVE they are about no vulnerability.
fn is_about_something(advisory: &Advisory) -> bool {
    !advisory.upstream.is_empty() || (advisory.key.id.ends_with("-1") && !advisory.affected.is_empty())
}

/// `[29 Mar 2023] DSA-5380-1 xorg-server - security update`
fn head(line: &str) -> Option<Advisory> {
    let (date, rest) = line.strip_prefix('[')?.split_once(']')?;
    let (id, title) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
    let is_id = ["DSA-", "DLA-", "DTSA-", "ELA-"].iter().any(|prefix| id.starts_with(prefix)) && id.len() <= 32;
    is_id.then(|| Advisory { summary: cut(title.trim()), published: day(date), ..Advisory::new(FEED, id) })
}

/// `29 Mar 2023`
fn day(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.split_whitespace();
    let (day, month, year) = (parts.next()?.parse::<u8>().ok()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    Timestamp::parse(&format!("{year}-{month:02}-{day:02}T00:00:00Z")).ok()
}

/// `[bullseye] - xorg-server 2:1.20.11-1+deb11u6`, `[jessie] - virtualbox <end-of-life> (reason)`; none of notes.
fn affected(line: &str) -> Option<Affected> {
    let (release, rest) = line.strip_prefix('[')?.split_once(']')?;
    let ecosystem = Ecosystem::release(Family::Debian, release_number(release)?);
    let mut words = rest.trim().strip_prefix('-')?.split_whitespace();
    let (source, version) = (words.next()?, words.next()?);
    match version {
        "<not-affected>" => None,
        "<end-of-life>" => Some(Affected::always(ecosystem, source, FixState::EndOfLife)),
        state if state.starts_with('<') => Some(Affected::always(ecosystem, source, FixState::Open)),
        version => Some(Affected::before(ecosystem, source, version)),
    }
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use crate::formats::read;

    #[test]
    fn heads_ids_and_lines_become_an_advisory() {
        let list = "[29 Mar 2023] DSA-5380-1 xorg-server - security update\n\t{CVE-2023-1393 CVE-2023-1394}\n\
            \t[bullseye] - xorg-server 2:1.20.11-1+deb11u6\n\t[jessie] - xorg-server <end-of-life> (see above)\n\
            \t[stretch] - xorg-server <not-affected> (later)\n\tNOTE: one more\n[17 Mar 2023] DSA-5356-2 sox - regression update\n\
            \t[bullseye] - sox 14.4.2\n[18 Apr 2018] DSA-4205-1 jessie end-of-life\nnonsense\n";
        let brought = read("data/DSA/list", Syntax::Text, list);
        let shown: Vec<String> = brought
            .advisories
            .iter()
            .map(|a| {
                let entries: Vec<String> =
                    a.affected.iter().map(|e| format!("{} {} {}", e.ecosystem, e.name, e.unfixed.as_str())).collect();
                format!("{} {:?} {}: {}", a.key.id, a.vulnerabilities(), a.published.unwrap(), entries.join(", "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "DSA-5380-1 [\"CVE-2023-1393\", \"CVE-2023-1394\"] 2023-03-29T00:00:00Z: Debian:11 xorg-server open, Debian:8 xorg-server end-of-life"
            ]
        );
        assert_eq!(brought.quarantined.len(), 1);
    }
}
