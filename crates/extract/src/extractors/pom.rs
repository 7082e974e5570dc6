//! Maven's `pom.xml`: what a project says of itself. What that comes to is found out with the other projects of its tree
//! ([`crate::maven`]).

use super::documents::{Element, xml};
use crate::maven::{Coordinates, MavenDependency, MavenProject};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};

pub(super) struct Pom;

impl Extractor for Pom {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "pom", version: 2 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/pom.xml"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        // Projects of a plug-in's integration tests, and the descriptions of what jars hold, which are read with their jars.
        if file.path.contains("src/it/") || file.path.contains("META-INF/maven/") {
            return Ok(());
        }
        let root = xml(file)?;
        if root.name != "project" {
            return Err(ExtractError::Malformed("it describes no project".into()));
        }
        out.maven(project(&root));
        Ok(())
    }
}

fn project(root: &Element) -> MavenProject {
    // An empty path is said on purpose: the parent lies elsewhere.
    let way = |parent: &Element| parent.child("relativePath").map(|way| way.text.clone());
    let named = root.child("properties").into_iter().flat_map(|properties| &properties.children);
    MavenProject {
        own: coordinates(root),
        parent: root.child("parent").map(|parent| (coordinates(parent), way(parent))),
        properties: named.map(|property| (property.name.clone(), property.text.clone())).collect(),
        managed: root.child("dependencyManagement").map(dependencies).unwrap_or_default(),
        dependencies: dependencies(root),
    }
}

fn dependencies(of: &Element) -> Vec<MavenDependency> {
    let all = of.child("dependencies").into_iter().flat_map(|list| list.all("dependency"));
    all.map(|said| MavenDependency { of: coordinates(said), scope: said.value("scope").map(str::to_owned) }).collect()
}

fn coordinates(of: &Element) -> Coordinates {
    let part = |name| of.value(name).map(str::to_owned);
    Coordinates { group: part("groupId"), artifact: part("artifactId"), version: part("version") }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use lestrade_model::ProblemKind;

    #[test]
    fn what_is_no_pom_is_refused() {
        assert_eq!(read("pom.xml", "<project><dependencies>").problems[0].0, ProblemKind::Truncated);
        assert_eq!(read("pom.xml", "<settings/>").problems[0].0, ProblemKind::Malformed);
    }

    #[test]
    fn projects_of_tests_and_of_jars_are_passed_over() {
        assert_eq!(read("src/it/x/pom.xml", "<project/>").maven, None);
        assert_eq!(read("META-INF/maven/g/a/pom.xml", "<project/>").maven, None);
        assert!(read("x/pom.xml", "<project/>").maven.is_some());
    }
}
