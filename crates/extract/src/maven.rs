//! Maven's projects, read together: what a module does not say itself it has from its parents and from the bills of materials that
//! it imports, as far as they lie in the same tree.
//!
//! Source: Maven's POM reference ("Inheritance", "Dependency Management") and its introduction to the dependency mechanism. Nothing
//! is fetched: what a parent elsewhere sets is not known, and that is said.

use crate::FileReport;
use crate::report::{Found, Origin};
use lestrade_model::{Family, Manager, ProblemKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How often a property may lead to another.
const MAX_STEPS: usize = 32;
/// How long a value may become by that.
const MAX_VALUE: usize = 4096;
/// How many parents are gone up to, and through how many imports.
const MAX_PARENTS: usize = 32;
/// How many managed dependencies are looked at for all projects of a tree together.
const MAX_LOOKS: usize = 2_000_000;

/// A `pom.xml`, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MavenProject {
    /// Its own coordinates.
    pub own: Coordinates,
    /// Its parent, and the path to it from its own folder: none for the folder above, empty for a parent that lies elsewhere.
    pub parent: Option<(Coordinates, Option<String>)>,
    /// Its properties.
    pub properties: BTreeMap<String, String>,
    /// What dependencies have that do not say it themselves.
    pub managed: Vec<MavenDependency>,
    /// What it depends on.
    pub dependencies: Vec<MavenDependency>,
}

/// What names an artifact; each part where it is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coordinates {
    /// Its group.
    pub group: Option<String>,
    /// Its name in the group.
    pub artifact: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

/// A dependency, or what is said of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MavenDependency {
    /// What.
    pub of: Coordinates,
    /// For what: `compile` where nothing is said, and `import` for a bill of materials.
    pub scope: Option<String>,
}

/// What the projects of a tree depend on: for each of the files its packages, and what is to be said of it.
pub(crate) fn resolve(files: &[(&str, &FileReport)]) -> BTreeMap<usize, Resolved> {
    let projects = files.iter().enumerate().filter_map(|(at, (path, file))| Some((at, *path, file.maven.as_deref()?)));
    let mut tree = Tree { projects: projects.collect(), by_path: HashMap::new(), by_name: HashMap::new(), looks: MAX_LOOKS };
    for (number, (_, path, project)) in tree.projects.iter().enumerate() {
        tree.by_path.insert(path, number);
        if let (Some(group), Some(artifact)) = (project.said(|of| &of.group), &project.own.artifact) {
            tree.by_name.entry((group, artifact)).or_default().push(number);
        }
    }
    (0..tree.projects.len()).map(|number| (tree.projects[number].0, tree.resolved(number))).collect()
}

/// What a project depends on.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) packages: Vec<Found>,
    pub(crate) problem: Option<(ProblemKind, String)>,
}

impl MavenProject {
    /// A part of its coordinates: a project has its parent's group and version unless it says its own.
    fn said(&self, part: impl Fn(&Coordinates) -> &Option<String>) -> Option<&str> {
        let inherited = self.parent.as_ref().and_then(|(parent, _)| part(parent).as_deref());
        part(&self.own).as_deref().or(inherited)
    }

    /// What Maven knows of a project without being told.
    fn built_in(&self, name: &str) -> Option<&str> {
        let of_parent = name.strip_prefix("project.parent.").or_else(|| name.strip_prefix("parent."));
        if let Some(part) = of_parent {
            let (parent, _) = self.parent.as_ref()?;
            return match part {
                "groupId" => parent.group.as_deref(),
                "artifactId" => parent.artifact.as_deref(),
                "version" => parent.version.as_deref(),
                _ => None,
            };
        }
        match name.strip_prefix("project.").or_else(|| name.strip_prefix("pom.")).unwrap_or(name) {
            "groupId" => self.said(|of| &of.group),
            "artifactId" => self.own.artifact.as_deref(),
            "version" => self.said(|of| &of.version),
            _ => None,
        }
    }
}

/// The projects of a tree.
struct Tree<'a> {
    /// The number of the file, its path and what it says.
    projects: Vec<(usize, &'a str, &'a MavenProject)>,
    by_path: HashMap<&'a str, usize>,
    by_name: HashMap<(&'a str, &'a str), Vec<usize>>,
    looks: usize,
}

/// What is managed: by group and artifact, the version and the scope.
type Managed = HashMap<(String, String), (Option<String>, Option<String>)>;

impl<'a> Tree<'a> {
    fn resolved(&mut self, number: usize) -> Resolved {
        let line = self.line(number);
        let managed = self.managed(&line, &mut HashSet::from([number]));
        let project = self.projects[number].2;
        let (mut packages, mut unknown) = (Vec::new(), 0_usize);
        for dependency in &project.dependencies {
            let key = self.key(&line, &dependency.of);
            let said = key.as_ref().and_then(|key| managed.get(key));
            let scope = dependency.scope.as_deref().and_then(|scope| self.value(&line, scope));
            let scope = scope.or_else(|| said.and_then(|(_, scope)| scope.clone()));
            if scope.is_some_and(|scope| !matches!(scope.as_str(), "compile" | "runtime")) {
                continue;
            }
            let version = match &dependency.of.version {
                Some(version) => self.value(&line, version),
                None => said.and_then(|(version, _)| version.clone()),
            };
            match (key, version) {
                (Some((group, artifact)), Some(version)) => packages.push(Found {
                    origin: Origin::Language(Family::Maven),
                    name: format!("{group}:{artifact}"),
                    version: exact(&version).to_owned(),
                    source: None,
                    arch: None,
                    module: None,
                    manager: Manager::Maven,
                }),
                _ => unknown += 1,
            }
        }
        let (what, it_is) = if unknown == 1 { ("dependency has", "it is") } else { ("dependencies have", "they are") };
        let detail = format!("{unknown} {what} no version here, which is set elsewhere: {it_is} not listed");
        Resolved { packages, problem: (unknown > 0).then_some((ProblemKind::Unsupported, detail)) }
    }

    /// A project and its parents, itself first.
    fn line(&self, number: usize) -> Vec<usize> {
        let mut line = vec![number];
        while let Some(parent) = line.last().and_then(|child| self.parent(*child)) {
            if line.contains(&parent) || line.len() > MAX_PARENTS {
                break;
            }
            line.push(parent);
        }
        line
    }

    fn parent(&self, number: usize) -> Option<usize> {
        let (_, path, project) = self.projects[number];
        let (parent, way) = project.parent.as_ref()?;
        let (group, artifact) = (parent.group.as_deref()?, parent.artifact.as_deref()?);
        let beside = || {
            let way = way.as_deref().unwrap_or("../pom.xml");
            let file = joined(path, way)?;
            let folder = if file.is_empty() { "pom.xml".to_owned() } else { format!("{file}/pom.xml") };
            let found = self.by_path.get(file.as_str()).or_else(|| self.by_path.get(folder.as_str()))?;
            // Another project may lie there, and then it is not the parent.
            let other = self.projects[*found].2;
            (other.said(|of| &of.group) == Some(group) && other.own.artifact.as_deref() == Some(artifact)).then_some(*found)
        };
        beside().or_else(|| self.called(group, artifact, parent.version.as_deref()?))
    }

    /// The project of these coordinates.
    fn called(&self, group: &str, artifact: &str, version: &str) -> Option<usize> {
        let is_it = |number: &&usize| self.projects[**number].2.said(|of| &of.version) == Some(version);
        self.by_name.get(&(group, artifact))?.iter().find(is_it).copied()
    }

    /// What is managed for a line of projects: the nearest says it, and what is imported only what nobody in the line says.
    fn managed(&mut self, line: &[usize], seen: &mut HashSet<usize>) -> Managed {
        let (mut managed, mut imported) = (Managed::new(), Vec::new());
        for number in line {
            for said in &self.projects[*number].2.managed {
                if self.looks == 0 {
                    return managed;
                }
                self.looks -= 1;
                let Some(key) = self.key(line, &said.of) else { continue };
                let value = |text: &Option<String>| text.as_deref().and_then(|text| self.value(line, text));
                let (version, scope) = (value(&said.of.version), value(&said.scope));
                if scope.as_deref() == Some("import") {
                    imported.extend(version.and_then(|version| self.called(&key.0, &key.1, &version)));
                } else {
                    managed.entry(key).or_insert((version, scope));
                }
            }
        }
        for number in imported {
            // A bill of materials speaks in its own words, and may import others.
            if seen.len() < MAX_PARENTS && seen.insert(number) {
                let line = self.line(number);
                for (key, said) in self.managed(&line, seen) {
                    managed.entry(key).or_insert(said);
                }
            }
        }
        managed
    }

    fn key(&self, line: &[usize], of: &Coordinates) -> Option<(String, String)> {
        let part = |part: &Option<String>| part.as_deref().and_then(|part| self.value(line, part));
        Some((part(&of.group)?, part(&of.artifact)?))
    }

    /// A text with its properties put in; none when one of them is not known here, or when they go round in circles.
    fn value(&self, line: &[usize], text: &str) -> Option<String> {
        let mut value = text.trim().to_owned();
        // A placeholder that a build fills in before Maven sees it.
        if value.len() > 1 && value.starts_with('@') && value.ends_with('@') {
            return None;
        }
        for _ in 0..MAX_STEPS {
            let Some(start) = value.find("${") else { return Some(value) };
            let end = start + value[start..].find('}')?;
            let property = self.property(line, &value[start + 2..end])?;
            value.replace_range(start..=end, property);
            if value.len() > MAX_VALUE {
                return None;
            }
        }
        None
    }

    fn property(&self, line: &[usize], name: &str) -> Option<&'a str> {
        let named = line.iter().find_map(|number| self.projects[*number].2.properties.get(name));
        named.map(String::as_str).or_else(|| line.first().and_then(|own| self.projects[*own].2.built_in(name)))
    }
}

/// Where a way leads from a file's folder; none when it leads out of the tree or nowhere.
fn joined(file: &str, way: &str) -> Option<String> {
    if way.trim().is_empty() {
        return None;
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in way.trim().split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
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
    use super::*;
    use crate::extractors::read;

    /// What each file of a tree depends on, and what is said of it.
    fn tree(files: &[(&str, String)]) -> Vec<(Vec<String>, usize)> {
        let reports: Vec<FileReport> = files.iter().map(|(path, content)| read(path, content)).collect();
        let files: Vec<(&str, &FileReport)> = reports.iter().map(|file| (file.path.as_str(), file)).collect();
        let packages = |of: Resolved| of.packages.iter().map(|found| format!("{} {}", found.name, found.version)).collect();
        resolve(&files).into_values().map(|of| (usize::from(of.problem.is_some()), packages(of))).map(|(said, all)| (all, said)).collect()
    }

    fn lone(body: &str) -> (Vec<String>, usize) {
        tree(&[("app/pom.xml", pom(body))]).remove(0)
    }

    fn pom(body: &str) -> String {
        named("me", body)
    }

    fn named(artifact: &str, body: &str) -> String {
        format!(
            "<project xmlns='http://maven.apache.org/POM/4.0.0'><groupId>g</groupId><artifactId>{artifact}</artifactId>\
             <version>1.0</version>{body}</project>"
        )
    }

    /// A project that has its group and version from its parent.
    fn child(artifact: &str, parent: &str, way: &str, body: &str) -> String {
        format!(
            "<project><parent><groupId>g</groupId><artifactId>{parent}</artifactId><version>1.0</version>{way}</parent>\
             <artifactId>{artifact}</artifactId>{body}</project>"
        )
    }

    fn dependency(artifact: &str, rest: &str) -> String {
        format!("<dependency><groupId>g</groupId><artifactId>{artifact}</artifactId>{rest}</dependency>")
    }

    fn managing(managed: &str) -> String {
        format!("<dependencyManagement><dependencies>{managed}</dependencies></dependencyManagement>")
    }

    fn depending(dependencies: &str) -> String {
        format!("<dependencies>{dependencies}</dependencies>")
    }

    #[test]
    fn properties_and_management() {
        let managed = dependency("managed", "<version>3.0</version>") + &dependency("junit", "<version>4</version><scope>test</scope>");
        let dependencies = [
            dependency("a", "<version>${v}</version>"),
            dependency("managed", ""),
            dependency("junit", ""),
            dependency("sibling", "<version>${project.version}</version>"),
            dependency("given", "<version>1</version><scope>provided</scope>"),
            dependency("range", "<version>[1.0,2.0)</version>"),
        ];
        let body = format!("<properties><v>${{w}}</v><w>2.0</w></properties>{}{}", managing(&managed), depending(&dependencies.concat()));
        assert_eq!(lone(&body), (["g:a 2.0", "g:managed 3.0", "g:sibling 1.0", "g:range "].map(str::to_owned).to_vec(), 0));
    }

    #[test]
    fn a_module_has_from_its_parents_what_it_does_not_say_itself() {
        let root = named(
            "root",
            &format!(
                "<properties><v>1.1</v><w>1.2</w></properties>{}",
                managing(
                    &[
                        dependency("a", "<version>${v}</version>"),
                        dependency("b", "<version>${w}</version>"),
                        dependency("t", "<version>9</version><scope>test</scope>")
                    ]
                    .concat()
                )
            ),
        );
        let middle = child("middle", "root", "", "<properties><w>2.2</w></properties>");
        let leaf = child(
            "leaf",
            "middle",
            "<relativePath>../middle</relativePath>",
            &depending(
                &[dependency("a", ""), dependency("b", ""), dependency("t", ""), dependency("me", "<version>${project.version}</version>")]
                    .concat(),
            ),
        );
        // One beside that has its parent by name, wherever it lies.
        let far = child("far", "root", "<relativePath/>", &depending(&dependency("b", "")));
        let found = tree(&[("pom.xml", root), ("middle/pom.xml", middle), ("leaf/pom.xml", leaf), ("other/place/pom.xml", far)]);
        let none = (vec![], 0);
        let leaf = (["g:a 1.1", "g:b 2.2", "g:me 1.0"].map(str::to_owned).to_vec(), 0);
        assert_eq!(found, [none.clone(), none, leaf, (vec!["g:b 1.2".to_owned()], 0)]);
    }

    #[test]
    fn a_bill_of_materials_speaks_where_nobody_nearer_does() {
        let bom = named(
            "bom",
            &format!(
                "<properties><v>5</v></properties>{}",
                managing(&[dependency("a", "<version>${v}</version>"), dependency("b", "<version>${v}</version>")].concat())
            ),
        );
        let import = dependency("bom", "<version>1.0</version><type>pom</type><scope>import</scope>");
        let app = named(
            "app",
            &format!(
                "<properties><v>no</v></properties>{}{}",
                managing(&[import, dependency("b", "<version>6</version>")].concat()),
                depending(&[dependency("a", ""), dependency("b", "")].concat())
            ),
        );
        assert_eq!(tree(&[("bom/pom.xml", bom), ("app/pom.xml", app)])[1], (["g:a 5", "g:b 6"].map(str::to_owned).to_vec(), 0));
    }

    #[test]
    fn what_is_set_elsewhere_is_said() {
        let circle = "<properties><a>${b}</a><b>${a}</b></properties>";
        let both = dependency("x", "") + &dependency("y", "<version>${a}</version>");
        assert_eq!(lone(&format!("{circle}{}", depending(&both))), (vec![], 1));
        let orphan = child("orphan", "gone", "", &depending(&dependency("x", "")));
        // What lies where the parent should is another project.
        let other = named("other", &managing(&dependency("x", "<version>1</version>")));
        assert_eq!(tree(&[("pom.xml", other), ("orphan/pom.xml", orphan)])[1], (vec![], 1));
    }

    #[test]
    fn parents_that_go_round_in_circles_are_gone_round_once() {
        let (a, b) = (child("a", "b", "<relativePath>../b</relativePath>", ""), child("b", "a", "<relativePath>../a</relativePath>", ""));
        assert_eq!(tree(&[("a/pom.xml", a), ("b/pom.xml", b)]).len(), 2);
        for way in ["pom.xml", "./", "../../../..", ".."] {
            let way = format!("<relativePath>{way}</relativePath>");
            let own = child("a", "a", &way, &depending(&dependency("x", "")));
            assert_eq!(tree(&[("a/pom.xml", own)]), [(vec![], 1)], "{way}");
        }
        let import = |name: &str| managing(&dependency(name, "<version>1.0</version><type>pom</type><scope>import</scope>"));
        let (a, b) = (named("a", &import("b")), named("b", &import("a")));
        assert_eq!(tree(&[("a/pom.xml", a), ("b/pom.xml", b)]).len(), 2);
    }
}
