//! Package sets, so that nobody is fast by finding less. All are read from package URLs, ours too.

use anyhow::{Context, Result};
use lestrade_artifact::{Limits, Platform};
use lestrade_extract::Scanner;
use lestrade_model::Inventory;
use lestrade_sys::WorkerCommand;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The ecosystems that are compared, as package URLs name them.
pub(crate) const COMPARED: [&str; 3] = ["deb", "pypi", "npm"];

/// Type, name and version.
pub(crate) type PackageSet = BTreeSet<(String, String, String)>;

/// What our scanner finds, through the workers of the measured program.
pub(crate) fn ours(program: &Path, image: &Path) -> Result<(PackageSet, Inventory)> {
    let worker = WorkerCommand { program: program.to_owned(), arguments: vec!["worker".to_owned()] };
    let scanned = Scanner::new(worker, Limits::default(), None).scan_image_file(image, &Platform::default())?;
    let urls: Vec<String> = scanned.inventory.components.iter().filter_map(lestrade_model::Component::purl).collect();
    Ok((set(urls.iter().map(String::as_str)), scanned.inventory))
}

/// The packages of a CycloneDX document.
pub(crate) fn cyclonedx(document: &[u8]) -> Result<PackageSet> {
    let document: Value = serde_json::from_slice(document)?;
    let components = document.get("components").and_then(Value::as_array).context("an SBOM has components")?;
    Ok(set(components.iter().filter_map(|component| component.get("purl")?.as_str())))
}

fn set<'a>(urls: impl Iterator<Item = &'a str>) -> PackageSet {
    urls.filter_map(package).filter(|(kind, _, _)| COMPARED.contains(&kind.as_str())).collect()
}

/// `pkg:deb/debian/name@version?epoch=1&…`. Some write a Debian version's epoch as a qualifier, some in the version.
fn package(url: &str) -> Option<(String, String, String)> {
    let (kind, rest) = url.strip_prefix("pkg:")?.split_once('/')?;
    let (rest, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
    let (name, version) = rest.rsplit_once('@')?;
    let name = if kind == "deb" { name.rsplit('/').next()? } else { name };
    let mut version = decode(version);
    if let Some(epoch) = qualifiers.split('&').find_map(|q| q.strip_prefix("epoch=")).filter(|_| !version.contains(':')) {
        version = format!("{epoch}:{version}");
    }
    let name = decode(name);
    let name = if kind == "pypi" { name.to_ascii_lowercase().replace(['_', '.'], "-") } else { name };
    Some((kind.to_owned(), name, version))
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_package_has_one_name_however_it_is_written() {
        let urls = ["pkg:deb/debian/git@1%3A2.39.5-0%2Bdeb12u2?arch=amd64", "pkg:deb/debian/git@2.39.5-0%2Bdeb12u2?arch=amd64&epoch=1"];
        assert_eq!(set(urls.into_iter()).into_iter().collect::<Vec<_>>(), [("deb".into(), "git".into(), "1:2.39.5-0+deb12u2".into())]);
        assert_eq!(package("pkg:npm/%40babel/core@7.0.0").unwrap().1, "@babel/core");
        assert_eq!(package("pkg:pypi/Foo_Bar@1").unwrap().1, "foo-bar");
    }
}
