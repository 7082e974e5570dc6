//! Maven's `pom.xml`: what a project depends on. Nothing is fetched: a version that a parent elsewhere sets is not known, and that
//! is said.

use super::documents::{Element, package, xml};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};
use std::collections::BTreeMap;

pub(super) struct Pom;

/// How often a property may lead to another.
const MAX_STEPS: usize = 32;
/// How long a value may become by that.
const MAX_VALUE: usize = 4096;

impl Extractor for Pom {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "pom", version: 1 }
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
        let project = Project::of(&root);
        let unknown = project.dependencies(&root, out);
        if unknown > 0 {
            let detail = format!("{unknown} dependencies have no version here, which is set elsewhere: they are not listed");
            out.problem(ExtractError::Unsupported(detail));
        }
        Ok(())
    }
}

struct Project<'a> {
    properties: BTreeMap<String, &'a str>,
    /// What dependencies have that do not say so themselves, by group and artifact.
    managed: BTreeMap<(String, String), Managed<'a>>,
}

#[derive(Clone, Copy)]
struct Managed<'a> {
    version: Option<&'a str>,
    scope: Option<&'a str>,
}

impl<'a> Project<'a> {
    fn of(root: &'a Element) -> Self {
        let mut properties = BTreeMap::new();
        let parent = root.child("parent");
        for key in ["groupId", "artifactId", "version"] {
            let inherited = parent.and_then(|parent| parent.value(key));
            if let Some(inherited) = inherited {
                properties.insert(format!("project.parent.{key}"), inherited);
            }
            // A project has its parent's group and version unless it says its own.
            if let Some(own) = root.value(key).or(inherited.filter(|_| key != "artifactId")) {
                for name in [format!("project.{key}"), format!("pom.{key}"), key.to_owned()] {
                    properties.insert(name, own);
                }
            }
        }
        let named = root.child("properties").into_iter().flat_map(|properties| &properties.children);
        properties.extend(named.map(|property| (property.name.clone(), property.text.as_str())));
        let mut project = Self { properties, managed: BTreeMap::new() };
        let management = root.child("dependencyManagement").and_then(|management| management.child("dependencies"));
        for dependency in management.into_iter().flat_map(|list| list.all("dependency")) {
            if let Some(key) = project.key(dependency) {
                project.managed.insert(key, Managed { version: dependency.value("version"), scope: dependency.value("scope") });
            }
        }
        project
    }

    fn key(&self, dependency: &Element) -> Option<(String, String)> {
        let part = |name| dependency.value(name).and_then(|value| self.resolve(value));
        Some((part("groupId")?, part("artifactId")?))
    }

    /// Lists what is deployed with the project, and counts what has no version.
    fn dependencies(&self, root: &Element, out: &mut dyn InventorySink) -> usize {
        let mut unknown = 0;
        for dependency in root.child("dependencies").into_iter().flat_map(|list| list.all("dependency")) {
            let managed = self.key(dependency).and_then(|key| self.managed.get(&key));
            let scope = dependency.value("scope").or(managed.and_then(|managed| managed.scope)).and_then(|scope| self.resolve(scope));
            if scope.is_some_and(|scope| !matches!(scope.as_str(), "compile" | "runtime")) {
                continue;
            }
            let version = dependency.value("version").or(managed.and_then(|managed| managed.version));
            match (self.key(dependency), version.and_then(|version| self.resolve(version))) {
                (Some((group, artifact)), Some(version)) => {
                    out.found(package(Family::Maven, Manager::Maven, &format!("{group}:{artifact}"), exact(&version)));
                }
                _ => unknown += 1,
            }
        }
        unknown
    }

    /// The text with its properties put in; none when one of them is not known here, or when they go round in circles.
    fn resolve(&self, text: &str) -> Option<String> {
        let mut value = text.trim().to_owned();
        // A placeholder that a build fills in before Maven sees it.
        if value.len() > 1 && value.starts_with('@') && value.ends_with('@') {
            return None;
        }
        for _ in 0..MAX_STEPS {
            let Some(start) = value.find("${") else { return Some(value) };
            let end = start + value[start..].find('}')?;
            let property = self.properties.get(&value[start + 2..end])?;
            value.replace_range(start..=end, property);
            if value.len() > MAX_VALUE {
                return None;
            }
        }
        None
    }
}

/// A plain version is what is taken unless another dependency wants otherwise, `[1.0]` is just that one, and of a range nobody
/// knows: it is listed without.
fn exact(version: &str) -> &str {
    match version.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(only) if !only.contains(',') => only.trim(),
        _ if version.starts_with(['[', '(']) => "",
        _ => version,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};
    use lestrade_model::ProblemKind;

    fn pom(body: &str) -> String {
        format!(
            "<project xmlns='http://maven.apache.org/POM/4.0.0'><groupId>g</groupId><artifactId>me</artifactId><version>1.0</version>{body}</project>"
        )
    }

    fn dependency(artifact: &str, rest: &str) -> String {
        format!("<dependency><groupId>g</groupId><artifactId>{artifact}</artifactId>{rest}</dependency>")
    }

    #[test]
    fn properties_and_management() {
        let body = format!(
            "<properties><v>${{w}}</v><w>2.0</w></properties><dependencyManagement><dependencies>{}{}</dependencies></dependencyManagement>\
             <dependencies>{}{}{}{}{}{}</dependencies>",
            dependency("managed", "<version>3.0</version>"),
            dependency("junit", "<version>4</version><scope>test</scope>"),
            dependency("a", "<version>${v}</version>"),
            dependency("managed", ""),
            dependency("junit", ""),
            dependency("sibling", "<version>${project.version}</version>"),
            dependency("given", "<version>1</version><scope>provided</scope>"),
            dependency("range", "<version>[1.0,2.0)</version>"),
        );
        assert_eq!(packages("app/pom.xml", &pom(&body)), ["g:a 2.0", "g:managed 3.0", "g:sibling 1.0", "g:range "]);
        assert_eq!(read("pom.xml", &pom(&body)).problems, []);
        assert_eq!(packages("src/it/x/pom.xml", &pom(&body)), [""; 0]);
    }

    #[test]
    fn what_is_set_elsewhere_is_said() {
        let circle = "<properties><a>${b}</a><b>${a}</b></properties>";
        let body = format!("{circle}<dependencies>{}{}</dependencies>", dependency("x", ""), dependency("y", "<version>${a}</version>"));
        let report = read("pom.xml", &pom(&body));
        assert_eq!((report.found.len(), report.problems.len()), (0, 1));
        assert_eq!(report.problems[0].0, ProblemKind::Unsupported);
    }

    #[test]
    fn what_is_no_pom_is_refused() {
        assert_eq!(read("pom.xml", "<project><dependencies>").problems[0].0, ProblemKind::Truncated);
        assert_eq!(read("pom.xml", "<settings/>").problems[0].0, ProblemKind::Malformed);
    }
}
