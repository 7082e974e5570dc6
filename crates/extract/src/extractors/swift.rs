//! Swift's `Package.resolved`, versions 1 to 3, and CocoaPods' `Podfile.lock`.

use super::documents::{json, member, nameless, package};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde_json::Value;

pub(super) struct SwiftResolved;
pub(super) struct PodfileLock;

impl Extractor for SwiftResolved {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "swift-resolved", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/Package.resolved"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let document: Value = json(file)?;
        // Version 1 keeps the pins one level deeper.
        let pins = document.get("pins").or_else(|| document.get("object")?.get("pins")).and_then(Value::as_array);
        for pin in pins.ok_or_else(|| ExtractError::Malformed("it has no list of pins".into()))? {
            let name = member(pin, "location").or_else(|| member(pin, "repositoryURL")).map(repository).or_else(|| member(pin, "identity"));
            let state = pin.get("state").unwrap_or(&Value::Null);
            match (name, member(state, "version").or_else(|| member(state, "branch"))) {
                (Some(name), Some(version)) => out.found(package(Family::SwiftUrl, Manager::Swift, name, version)),
                (Some(_), None) => {
                    let detail = "a package is pinned to a revision, whose version nobody tells: it is not listed".into();
                    out.problem(ExtractError::Unsupported(detail));
                }
                (None, _) => nameless(out),
            }
        }
        Ok(())
    }
}

/// The name of a package is where it comes from, without scheme, user and suffix.
fn repository(location: &str) -> &str {
    let path = location.split_once("://").map_or(location, |(_, rest)| rest);
    let path = path.split_once('@').filter(|(user, _)| !user.contains('/')).map_or(path, |(_, rest)| rest);
    path.trim_end_matches('/').trim_end_matches(".git")
}

impl Extractor for PodfileLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "podfile-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/Podfile.lock"]
    }

    /// The pods are the lines `- Name (version)` right below `PODS:`; deeper ones are what each needs.
    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let text = file.text();
        let (mut pods, mut section) = (false, false);
        for line in text.lines() {
            if !line.starts_with(' ') && !line.trim().is_empty() {
                section = line.trim_end() == "PODS:";
                pods |= section;
                continue;
            }
            let Some(pod) = line.strip_prefix("  - ").filter(|_| section) else { continue };
            let pod = pod.trim().trim_end_matches(':').trim_matches('"');
            match pod.split_once(" (").and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?))) {
                Some((name, version)) => out.found(package(Family::CocoaPods, Manager::CocoaPods, name, version)),
                None => nameless(out),
            }
        }
        if pods || text.trim().is_empty() { Ok(()) } else { Err(ExtractError::Malformed("it has no section PODS".into())) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn pins_of_all_versions() {
        let v1 = r#"{"object": {"pins": [{"package": "A", "repositoryURL": "https://github.com/o/A.git", "state": {"version": "1.0.0"}}]}, "version": 1}"#;
        assert_eq!(packages("Package.resolved", v1), ["github.com/o/A 1.0.0"]);
        let v2 = r#"{"pins": [{"location": "git@github.com/o/b", "state": {"branch": "main"}}, {"identity": "o.c", "state": {"version": "2.0.0"}},
                              {"location": "https://github.com/o/d", "state": {"revision": "abc"}}], "version": 3}"#;
        assert_eq!(packages("x/Package.resolved", v2), ["github.com/o/b main", "o.c 2.0.0"]);
        assert_eq!(read("Package.resolved", v2).problems.len(), 1);
        assert_eq!(read("Package.resolved", "{}").problems.len(), 1);
    }

    #[test]
    fn pods_and_not_what_they_need() {
        let lock = "PODS:\n  - A (4.2.0):\n    - A/Core (= 4.2.0)\n  - A/Core (4.2.0)\n  - \"B+C (1.0)\":\n    - A\n\nDEPENDENCIES:\n  - A (~> 4)\n";
        assert_eq!(packages("ios/Podfile.lock", lock), ["A 4.2.0", "A/Core 4.2.0", "B+C 1.0"]);
        assert_eq!(read("Podfile.lock", "nothing").problems.len(), 1);
    }
}
