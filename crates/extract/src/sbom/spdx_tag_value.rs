//! SPDX 2 as tags and values: a line each, `<text>` over several.

use super::package::Packages;
use super::spdx::{add, check_version};
use crate::ExtractError;

/// How far into a document its version is looked for.
const HEAD: usize = 4096;

/// Whether a text looks like one.
pub(super) fn is_one(content: &[u8]) -> bool {
    let head = &content[..content.len().min(HEAD)];
    head.starts_with(b"SPDXVersion:") || head.windows(13).any(|window| window == b"\nSPDXVersion:")
}

#[derive(Default)]
struct Entry<'a> {
    id: &'a str,
    purpose: &'a str,
    name: &'a str,
    version: &'a str,
    purl: Option<&'a str>,
    source: &'a str,
    notes: Vec<&'a str>,
}

pub(super) fn read(text: &str, out: &mut Packages) -> Result<(), ExtractError> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for (tag, value) in lines(text) {
        match (tag, entries.last_mut()) {
            ("SPDXVersion", _) => check_version(value)?,
            ("PackageName", _) => entries.push(Entry { name: value, ..Entry::default() }),
            // Files and snippets have ids too; they end a package.
            ("FileName" | "SnippetSPDXID", _) => entries.push(Entry::default()),
            ("SPDXID", Some(entry)) => entry.id = value,
            ("PackageVersion", Some(entry)) => entry.version = value,
            ("PrimaryPackagePurpose", Some(entry)) => entry.purpose = value,
            ("PackageSourceInfo", Some(entry)) => entry.source = value,
            ("PackageAttributionText", Some(entry)) => entry.notes.push(value),
            ("ExternalRef", Some(entry)) => {
                let mut words = value.split_whitespace().skip(1);
                if words.next() == Some("purl") {
                    entry.purl = words.next();
                }
            }
            _ => {}
        }
    }
    for entry in entries.iter().filter(|entry| !entry.name.is_empty()) {
        let notes = entry.notes.iter().copied();
        add(entry.id, entry.purpose, entry.name, entry.version, entry.purl, entry.source, notes, out);
    }
    Ok(())
}

/// Tags and their values; a value between `<text>` and `</text>` may have several lines.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            let Some((tag, value)) = line.split_once(':').filter(|_| !line.starts_with('#')) else {
                rest = after;
                continue;
            };
            if let Some(begin) = value.trim_start().strip_prefix("<text>")
                && !begin.contains("</text>")
            {
                // The whole of it, to its end or the document's.
                rest = after.split_once("</text>").map_or("", |(_, after)| after);
                return Some((tag.trim(), begin));
            }
            rest = after;
            let value = value.trim();
            return Some((tag.trim(), value.strip_prefix("<text>").and_then(|value| value.strip_suffix("</text>")).unwrap_or(value)));
        }
        None
    })
}
