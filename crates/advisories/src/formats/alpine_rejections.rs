//! What Alpine's security team rejected: by package the vulnerabilities that it does not have, whatever somebody concluded from its
//! name (a file for each repository, for all releases).
//!
//! Nothing is found by such a record. It is kept so that the answer is there for those who ask why nothing is.

use super::{Brought, Format, Parsed, is_cve};
use lestrade_model::Advisory;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const FEED: &str = "alpine-rejections";

pub(super) struct AlpineRejections;

impl Format for AlpineRejections {
    fn recognises(&self, name: &str, document: &Parsed<'_>) -> bool {
        let is_list = |value: &Value| value.as_array().is_some_and(|ids| ids.iter().all(Value::is_string));
        repository(name).is_some() && matches!(document, Parsed::Object(document) if !document.is_empty() && document.values().all(is_list))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let (Parsed::Object(document), Some(repository)) = (document, repository(name)) else { return Brought::default() };
        let mut packages: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (package, ids) in &document {
            for id in ids.as_array().into_iter().flatten().filter_map(Value::as_str) {
                // Where a file was cut the last id is none, or another one.
                if !is_cve(id) {
                    return Brought::refused(name, format!("an id of '{package}' is none of the CVE list"));
                }
                packages.entry(id).or_default().insert(package);
            }
        }
        let advisories = packages.into_iter().map(|(id, packages)| Advisory {
            summary: format!("Alpine rejects it for {}", packages.into_iter().collect::<Vec<_>>().join(", ")),
            aliases: vec![id.to_owned()],
            ..Advisory::new(FEED, &format!("{repository}/{id}"))
        });
        Brought { advisories: advisories.collect(), ..Brought::default() }
    }
}

/// `main` of `rejections/main.yaml`: the repository whose packages a file is about.
fn repository(name: &str) -> Option<&'static str> {
    let stem = name.rsplit(['/', '!']).next()?.rsplit_once('.')?.0.rsplit('.').next()?;
    ["main", "community"].into_iter().find(|known| *known == stem)
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use crate::formats::read;

    #[test]
    fn rejections_are_by_package_and_find_nothing() {
        let text = "openssl:\n  - CVE-2020-1001\n  - CVE-2020-1000\nlibressl:\n  - CVE-2020-1000\n";
        let brought = read("main.yaml", Syntax::Yaml, text);
        let [rejected, _] = brought.advisories.as_slice() else { panic!("{:?}", brought.advisories) };
        assert_eq!(
            (rejected.key.id.as_str(), rejected.summary.as_str()),
            ("main/CVE-2020-1000", "Alpine rejects it for libressl, openssl")
        );
        assert_eq!((rejected.affected.len(), rejected.vulnerabilities()), (0, vec!["CVE-2020-1000"]));
        let cut = read("main.yaml", Syntax::Yaml, text.trim_end_matches("0\n"));
        assert_eq!((cut.advisories.len(), cut.quarantined.len()), (0, 1));
        assert!(read("other.yaml", Syntax::Yaml, text).is_unknown);
    }
}
