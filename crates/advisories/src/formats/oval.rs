//! OVAL definitions, as Oracle, SUSE and Azure Linux publish them: which packages below which version are affected where.
//!
//! A definition is a tree of criteria over tests; a test compares a package (an object) with a version (a state). What is used of
//! that language is what those publishers use: *installed platform* and *earlier than a version*, joined by AND and OR.

use super::xml::{Element, each_element};
use super::{Brought, Format, Parsed, cut, is_cve};
use lestrade_model::{Advisory, Affected, Cvss, Ecosystem, Family, Score, ScoreSource, Timestamp};
use lestrade_versions::Scheme;
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) struct Oval;

impl Format for Oval {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Xml(root, _) if root == "oval_definitions")
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let Parsed::Xml(_, text) = document else { return Brought::default() };
        let mut file = File { name, ..File::default() };
        // Tests come after the definitions that use them.
        let wanted = ["definition", "rpminfo_test", "rpminfo_object", "rpminfo_state"];
        if let Err(reason) = each_element(text, &wanted, &mut |element| file.take(element)) {
            return Brought::refused(name, reason);
        }
        file.brought()
    }
}

#[derive(Default)]
struct File<'a> {
    name: &'a str,
    definitions: Vec<Definition>,
    /// Object and state by test.
    tests: HashMap<String, (String, String)>,
    /// Package name by object.
    objects: HashMap<String, String>,
    /// Version by state, of those that ask for an earlier one.
    states: HashMap<String, String>,
}

struct Definition {
    id: String,
    class: String,
    title: String,
    description: String,
    platforms: Vec<String>,
    advisory: String,
    cves: Vec<String>,
    severity: String,
    issued: Option<Timestamp>,
    scores: Vec<Score>,
    criteria: Option<Element>,
}

/// Where a criterion stands: what must be installed for it to speak.
#[derive(Clone, Default)]
struct Place {
    platforms: BTreeSet<String>,
    module: Option<String>,
}

impl File<'_> {
    fn take(&mut self, mut element: Element) {
        let id = element.attribute("id").to_owned();
        match element.name.as_str() {
            "definition" => {
                let criteria = element.children.iter().position(|child| child.name == "criteria");
                let criteria = criteria.map(|at| element.children.swap_remove(at));
                self.definitions.push(Definition::of(&element, criteria));
            }
            "rpminfo_test" => {
                let reference =
                    |child: &str, key: &str| element.child(child).map_or(String::new(), |found| found.attribute(key).to_owned());
                self.tests.insert(id, (reference("object", "object_ref"), reference("state", "state_ref")));
            }
            "rpminfo_object" => drop(self.objects.insert(id, element.value("name").to_owned())),
            _ => {
                if let Some(evr) = element.child("evr").filter(|evr| evr.attribute("operation") == "less than") {
                    self.states.insert(id, evr.text.clone());
                }
            }
        }
    }

    fn brought(self) -> Brought {
        let mut brought = Brought::default();
        for definition in &self.definitions {
            // Inventory and compliance are other classes.
            if !matches!(definition.class.as_str(), "patch" | "vulnerability") {
                continue;
            }
            let mut fixes: BTreeMap<(Ecosystem, String, Option<String>), String> = BTreeMap::new();
            let mut place = Place::default();
            // Where the criteria name no platform, all of the definition's are meant.
            place.platforms.extend(definition.platforms.iter().cloned());
            if let Some(criteria) = &definition.criteria {
                self.walk(criteria, &place, &mut fixes);
            }
            let affected = fixes
                .into_iter()
                .map(|((ecosystem, name, module), fixed)| Affected { module, ..Affected::before(ecosystem, &name, &fixed) });
            let affected: Vec<Affected> = affected.collect();
            if affected.is_empty() {
                continue;
            }
            let (feed, id) = match definition.platforms.first().map(String::as_str).unwrap_or_default() {
                platform if platform.starts_with("Oracle") => ("oracle-oval", definition.advisory.clone()),
                // Definitions of a vulnerability have the same id in the files of all products.
                platform if platform.contains("SUSE") => ("suse-oval", format!("{}/{platform}", definition.id)),
                _ => ("azurelinux-oval", definition.id.clone()),
            };
            brought.advisories.push(Advisory {
                upstream: definition.cves.clone(),
                summary: cut(&definition.title),
                details: cut(&definition.description),
                published: definition.issued,
                vendor_severity: (!definition.severity.is_empty()).then(|| definition.severity.chars().take(64).collect()),
                scores: definition.scores.clone(),
                affected,
                ..Advisory::new(feed, &id)
            });
        }
        if brought.advisories.is_empty() && !self.definitions.is_empty() {
            return Brought::refused(self.name, "no definition of it names a package that is older than another");
        }
        brought
    }

    fn walk(&self, criteria: &Element, place: &Place, out: &mut BTreeMap<(Ecosystem, String, Option<String>), String>) {
        let conjunction = criteria.attribute("operator") != "OR";
        let mut here = place.clone();
        if conjunction {
            let mut named = BTreeSet::new();
            for child in &criteria.children {
                match child.name.as_str() {
                    "criterion" => here.understand(child, &mut named),
                    // One of several platforms.
                    _ if !child.children.is_empty() && child.children.iter().all(|leaf| platform(leaf.attribute("comment")).is_some()) => {
                        named.extend(child.children.iter().filter_map(|leaf| platform(leaf.attribute("comment"))).map(str::to_owned));
                    }
                    _ => {}
                }
            }
            if !named.is_empty() {
                here.platforms = named;
            }
        }
        for child in &criteria.children {
            if child.name == "criteria" {
                self.walk(child, &here, out);
            } else if let Some((name, fixed)) = self.earlier(child) {
                for ecosystem in here.platforms.iter().filter_map(|platform| release(platform, fixed, self.name)) {
                    let known = out.entry((ecosystem, name.to_owned(), here.module.clone())).or_insert_with(|| fixed.to_owned());
                    if Scheme::Rpm.compare(known, fixed).is_lt() {
                        fixed.clone_into(known);
                    }
                }
            }
        }
    }

    /// The package and the version below which a criterion holds.
    fn earlier(&self, criterion: &Element) -> Option<(&str, &str)> {
        let (object, state) = self.tests.get(criterion.attribute("test_ref"))?;
        let (name, version) = (self.objects.get(object)?, self.states.get(state)?);
        // An epoch of 0 is none.
        Some((name.as_str(), version.strip_prefix("0:").unwrap_or(version)))
    }
}

impl Place {
    fn understand(&mut self, criterion: &Element, platforms: &mut BTreeSet<String>) {
        let comment = criterion.attribute("comment");
        if let Some(platform) = platform(comment) {
            platforms.insert(platform.to_owned());
        }
        if let Some(module) = comment.strip_prefix("Module ").and_then(|rest| rest.strip_suffix(" is enabled")) {
            self.module = Some(module.to_owned());
        }
    }
}

/// `Oracle Linux 9 is installed`; packages are said to be installed too, and have no blanks in their names.
fn platform(comment: &str) -> Option<&str> {
    comment.strip_suffix(" is installed").filter(|name| name.contains("Linux") && name.contains(' '))
}

/// The release that a platform is, as systems name themselves.
fn release(platform: &str, fixed: &str, file: &str) -> Option<Ecosystem> {
    if let Some(number) = platform.strip_prefix("Oracle Linux ") {
        return Some(Ecosystem::release(Family::Oracle, number.split(['.', ' ']).next()?));
    }
    if let Some(product) = platform.strip_prefix("SUSE ") {
        return Some(Ecosystem::release(Family::Suse, product));
    }
    if let Some(product) = platform.strip_prefix("openSUSE ") {
        return Some(Ecosystem::release(Family::OpenSuse, product));
    }
    if matches!(platform, "Azure Linux" | "CBL-Mariner") {
        // The platform has no number: the packages or the file have.
        let of_fix = fixed.rsplit_once(".azl").or_else(|| fixed.rsplit_once(".cm")).map(|(_, number)| number);
        let of_file = || file.rsplit(['/', '!']).next().and_then(|name| name.split(['-', '.']).find(|part| part.parse::<u8>().is_ok()));
        return Some(Ecosystem::release(Family::AzureLinux, of_fix.or_else(of_file)?));
    }
    None
}

impl Definition {
    fn of(element: &Element, criteria: Option<Element>) -> Self {
        let empty = Element::default();
        let metadata = element.child("metadata").unwrap_or(&empty);
        let details = metadata.child("advisory").unwrap_or(&empty);
        let references = || metadata.all("reference");
        let named = references().map(|reference| reference.attribute("ref_id")).chain(details.all("cve").map(|cve| cve.text.as_str()));
        // SUSE writes `SUSE CVE-…` and `CVE-… at NVD`.
        let cves: BTreeSet<&str> = named.flat_map(|text| text.split_whitespace()).filter(|word| is_cve(word)).collect();
        let own = references().map(|reference| reference.attribute("ref_id")).find(|id| id.starts_with("ELSA-") || id.starts_with("ELBA-"));
        let day = |text: &str| text.get(..10).and_then(|day| Timestamp::parse(&format!("{day}T00:00:00Z")).ok());
        let severity = [metadata.value("severity"), details.value("severity")].into_iter().find(|word| !word.is_empty());
        let issued = details.child("issued").map_or_else(|| metadata.value("advisory_date"), |issued| issued.attribute("date"));
        let id = element.attribute("id");
        Self {
            id: id.to_owned(),
            class: element.attribute("class").to_owned(),
            title: metadata.value("title").to_owned(),
            description: metadata.value("description").to_owned(),
            platforms: metadata
                .all("affected")
                .flat_map(|affected| affected.all("platform"))
                .map(|platform| platform.text.clone())
                .collect(),
            advisory: own.unwrap_or(id).to_owned(),
            // A definition about one vulnerability has its score; one about several does not say whose it is.
            scores: if cves.len() == 1 { scores(details) } else { vec![] },
            cves: cves.into_iter().map(str::to_owned).collect(),
            severity: severity.unwrap_or_default().to_owned(),
            issued: day(issued),
            criteria,
        }
    }
}

/// Vectors as `7.8/AV:N/…` and `7.5/CVSS:3.0/AV:N/…`.
fn scores(details: &Element) -> Vec<Score> {
    let source = |href: &str| {
        if href.contains("nvd.nist.gov") {
            "NVD"
        } else if href.contains("suse") {
            "SUSE"
        } else {
            "ORACLE"
        }
    };
    let of = |cve: &Element| {
        let vector =
            [cve.attribute("cvss3"), cve.attribute("cvss2")].into_iter().find(|vector| !vector.is_empty())?.split_once('/')?.1.to_owned();
        Some(Score { cvss: Cvss::parse(&vector).ok()?, source: ScoreSource(source(cve.attribute("href")).into()) })
    };
    details.all("cve").filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;

    fn document(platform: &str, criteria: &str) -> String {
        format!(
            "<oval_definitions xmlns:l='x'><definitions><definition id='oval:d:1' class='patch'><metadata><title>t</title>\
             <affected family='unix'><platform>{platform}</platform></affected><reference source='CVE' ref_id='CVE-2023-1000'/>\
             <advisory><severity>Important</severity><cve cvss3='7.5/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H'>CVE-2023-1000</cve></advisory>\
             </metadata>{criteria}</definition></definitions>\
             <tests><l:rpminfo_test id='t1'><l:object object_ref='o1'/><l:state state_ref='s1'/></l:rpminfo_test>\
             <l:rpminfo_test id='t2'><l:object object_ref='o1'/><l:state state_ref='s2'/></l:rpminfo_test></tests>\
             <objects><l:rpminfo_object id='o1'><l:name>bind</l:name></l:rpminfo_object></objects>\
             <states><l:rpminfo_state id='s1'><l:evr operation='less than'>0:9.3-8.el9</l:evr></l:rpminfo_state>\
             <l:rpminfo_state id='s2'><l:signature_keyid operation='equals'>abc</l:signature_keyid></l:rpminfo_state></states></oval_definitions>"
        )
    }

    fn read(name: &str, platform: &str, criteria: &str) -> Vec<String> {
        let brought = super::super::read(name, Syntax::Xml, &document(platform, criteria));
        let entries = brought.advisories.iter().flat_map(|advisory| advisory.affected.iter());
        let shown = entries.map(|affected| {
            let module = affected.module.clone().unwrap_or_default();
            format!("{} {} {module}{:?}", affected.ecosystem, affected.name, affected.ranges[0].events[1])
        });
        shown.chain(brought.quarantined.iter().map(|(_, reason)| reason.clone())).collect()
    }

    #[test]
    fn criteria_say_where_a_fix_holds() {
        let oracle = "<criteria operator='AND'><criterion test_ref='t2' comment='Oracle Linux 9 is installed'/><criteria operator='OR'>\
            <criteria operator='AND'><criterion test_ref='t1' comment='bind is earlier than 0:9.3-8.el9'/>\
            <criterion test_ref='t2' comment='bind is signed with the Oracle Linux 9 key'/></criteria></criteria></criteria>";
        assert_eq!(read("elsa.xml", "Oracle Linux 9", oracle), ["Oracle Linux:9 bind Fixed(\"9.3-8.el9\")"]);
        let module = "<criteria operator='AND'><criterion comment='Oracle Linux 8 is installed'/><criterion comment='Module bind:9.16 is enabled'/>\
            <criterion test_ref='t1' comment='x'/></criteria>";
        assert_eq!(read("elsa.xml", "Oracle Linux 8", module), ["Oracle Linux:8 bind bind:9.16Fixed(\"9.3-8.el9\")"]);
        let suse = "<criteria operator='AND'><criteria operator='OR'><criterion comment='SUSE Linux Enterprise Server 15 SP4 is installed'/>\
            <criterion comment='SUSE Linux Enterprise Module for Basesystem 15 SP5 is installed'/></criteria>\
            <criteria operator='OR'><criterion test_ref='t1' comment='bind-9.3-8 is installed'/></criteria></criteria>";
        assert_eq!(
            read("suse.xml", "SUSE Linux Enterprise Server 12", suse),
            [
                "SUSE:Linux Enterprise Module for Basesystem 15 SP5 bind Fixed(\"9.3-8.el9\")",
                "SUSE:Linux Enterprise Server 15 SP4 bind Fixed(\"9.3-8.el9\")"
            ]
        );
        let azure = "<criteria operator='AND'><criterion test_ref='t1' comment='Package bind is earlier than 9.3-8'/></criteria>";
        assert_eq!(read("azurelinux-3.0-oval.xml", "Azure Linux", azure).len(), 1);
    }

    #[test]
    fn a_file_that_says_nothing_of_packages_is_refused() {
        assert_eq!(
            read("x.xml", "Oracle Linux 9", "<criteria operator='AND'/>"),
            ["no definition of it names a package that is older than another"]
        );
    }
}
