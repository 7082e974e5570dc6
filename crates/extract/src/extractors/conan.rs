//! Conan's lock files (C and C++): a graph in version 1, lists in version 2. What only builds is left out.

use super::documents::{file_name, json, nameless, package};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use serde::Deserialize;
use std::collections::BTreeMap;

pub(super) struct ConanLock;

#[derive(Deserialize)]
struct Lock {
    graph_lock: Option<Graph>,
    requires: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Graph {
    nodes: BTreeMap<String, Node>,
}

#[derive(Deserialize)]
struct Node {
    /// None for the project itself.
    #[serde(rename = "ref")]
    reference: Option<String>,
    #[serde(default)]
    context: String,
}

impl Extractor for ConanLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "conan-lock", version: 1 }
    }

    /// A lock may have any name that ends so.
    fn wants(&self) -> &'static [&'static str] {
        &["**/conan.lock", "**/*.lock"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let named = file_name(file.path) == "conan.lock";
        // Locks of other tools, and files that are locked, are none of ours.
        if !named && (!file.content.trim_ascii_start().starts_with(b"{") || !is_conan(&file.text())) {
            return Ok(());
        }
        let lock: Lock = json(file)?;
        match (&lock.graph_lock, &lock.requires) {
            (Some(graph), _) => {
                let nodes = graph.nodes.values().filter(|node| node.context != "build");
                nodes.filter_map(|node| node.reference.as_deref()).for_each(|reference| required(reference, out));
            }
            (None, Some(requires)) => requires.iter().for_each(|reference| required(reference, out)),
            (None, None) => return Err(ExtractError::Malformed("it requires nothing: it is no lock file".into())),
        }
        Ok(())
    }
}

fn is_conan(text: &str) -> bool {
    text.contains("\"graph_lock\"") || (text.contains("\"requires\"") && text.contains("\"build_requires\""))
}

/// `name/version[@user/channel][#revision][%time]`
fn required(reference: &str, out: &mut dyn InventorySink) {
    let plain = reference.split(['#', '@', '%']).next().unwrap_or_default();
    match plain.split_once('/').filter(|(name, version)| !name.is_empty() && !version.is_empty()) {
        Some((name, version)) => out.found(package(Family::ConanCenter, Manager::Conan, name, version)),
        None => nameless(out),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};

    #[test]
    fn both_versions() {
        let v1 = r#"{"graph_lock": {"nodes": {"0": {"path": "conanfile.txt"}, "1": {"ref": "zlib/1.2.11#ab"}, "2": {"ref": "cmake/3.1", "context": "build"}}}}"#;
        assert_eq!(packages("conan.lock", v1), ["zlib 1.2.11"]);
        let v2 =
            r#"{"version": "0.5", "requires": ["zlib/1.3@me/testing#ab%16.7"], "build_requires": ["cmake/3.1"], "python_requires": []}"#;
        for path in ["conan.lock", "locks/release.lock"] {
            assert_eq!(packages(path, v2), ["zlib 1.3"]);
        }
    }

    #[test]
    fn other_locks_are_left_alone() {
        assert_eq!(read("run/x.lock", "1234").problems, []);
        assert_eq!(read("flake.lock", r#"{"nodes": {}}"#).problems, []);
        assert_eq!(read("conan.lock", "{}").problems.len(), 1);
    }
}
