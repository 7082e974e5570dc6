//! CSAF 2.0 VEX documents, as Red Hat and SUSE publish one for each vulnerability: which package of which product is fixed in
//! which version, which is affected and what becomes of it, and which never was (OASIS CSAF 2.0, profile 5).
//!
//! Microsoft's are advisories of another form, and read as such.
//!
//! A product's id is a platform and a component. Red Hat names packages with their versions where they are fixed, and source
//! packages without where they are not; a module stream lies between the platform and the package.

use super::{Brought, Format, Parsed, cut, is_cve, record};
use lestrade_model::{Advisory, Affected, Cvss, Ecosystem, Family, FixState, PackageUrl, Reference, Score, ScoreSource, Timestamp};
use lestrade_versions::Scheme;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// How far a component may lie in others: package, module, repository.
const MAX_NESTING: usize = 4;
const MAX_BRANCHES: usize = 1_000_000;

pub(super) struct Csaf;

impl Format for Csaf {
    fn recognises(&self, _: &str, document: &Parsed<'_>) -> bool {
        matches!(document, Parsed::Object(document) if document.get("document").is_some_and(|meta| meta.get("csaf_version").is_some()))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        if let Parsed::Object(object) = &document
            && object
                .get("document")
                .is_some_and(|meta| meta["publisher"]["name"].as_str().is_some_and(|name| name.starts_with("Microsoft")))
        {
            return super::msrc::read_csaf(name, object);
        }
        record::<Document>(document).map_or_else(|reason| Brought::refused(name, reason), |document| document.brought(name))
    }
}

#[derive(Deserialize)]
struct Document {
    document: Meta,
    #[serde(default)]
    product_tree: Tree,
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    category: String,
    publisher: Publisher,
    #[serde(default)]
    aggregate_severity: Option<AggregateSeverity>,
    #[serde(default)]
    tracking: Tracking,
}

#[derive(Deserialize)]
struct Publisher {
    name: String,
}

#[derive(Deserialize)]
struct AggregateSeverity {
    text: String,
}

#[derive(Default, Deserialize)]
struct Tracking {
    #[serde(default)]
    current_release_date: String,
    #[serde(default)]
    initial_release_date: String,
}

#[derive(Default, Deserialize)]
struct Tree {
    #[serde(default)]
    branches: Vec<Branch>,
    #[serde(default)]
    relationships: Vec<Relationship>,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(default)]
    branches: Vec<Branch>,
    product: Option<Product>,
}

#[derive(Deserialize)]
struct Product {
    product_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    product_identification_helper: Helper,
}

#[derive(Default, Deserialize)]
struct Helper {
    #[serde(default)]
    cpe: Option<String>,
    #[serde(default)]
    purl: Option<String>,
}

#[derive(Deserialize)]
struct Relationship {
    full_product_name: FullName,
    product_reference: String,
    relates_to_product_reference: String,
}

#[derive(Deserialize)]
struct FullName {
    product_id: String,
}

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(default)]
    cve: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    cwe: Option<Cwe>,
    #[serde(default)]
    notes: Vec<Note>,
    #[serde(default)]
    product_status: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    references: Vec<Link>,
    #[serde(default)]
    release_date: String,
    #[serde(default)]
    remediations: Vec<Remediation>,
    #[serde(default)]
    scores: Vec<ScoreRecord>,
    #[serde(default)]
    threats: Vec<Threat>,
}

#[derive(Deserialize)]
struct Cwe {
    id: String,
}

#[derive(Deserialize)]
struct Note {
    category: String,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Link {
    url: String,
}

#[derive(Deserialize)]
struct Remediation {
    category: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

#[derive(Deserialize)]
struct ScoreRecord {
    #[serde(default)]
    cvss_v3: Option<Vector>,
    #[serde(default)]
    cvss_v4: Option<Vector>,
    #[serde(default)]
    cvss_v2: Option<Vector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    #[serde(default)]
    vector_string: String,
}

#[derive(Deserialize)]
struct Threat {
    category: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

/// Whose documents are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vendor {
    RedHat,
    Suse,
}

impl Vendor {
    fn of(publisher: &str) -> Option<Self> {
        match publisher {
            name if name.starts_with("Red Hat") => Some(Self::RedHat),
            name if name.starts_with("SUSE") => Some(Self::Suse),
            _ => None,
        }
    }

    const fn feed(self) -> &'static str {
        match self {
            Self::RedHat => "redhat-csaf",
            Self::Suse => "suse-csaf",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::RedHat => "REDHAT",
            Self::Suse => "SUSE",
        }
    }

    /// The release that a platform is; none of what is no operating system of theirs.
    fn release(self, platform: &Product) -> Option<Ecosystem> {
        match self {
            Self::RedHat => {
                // `cpe:/o:redhat:enterprise_linux:9::baseos`
                let cpe = platform.product_identification_helper.cpe.as_deref()?;
                let product = cpe.splitn(4, ':').nth(3)?;
                let is_system = product.starts_with("enterprise_linux:") || product.starts_with("rhel_");
                // Which of a release's repositories it lies in does not matter.
                let release = product.split("::").next().unwrap_or(product);
                is_system.then(|| Ecosystem::release(Family::RedHat, release.strip_prefix("enterprise_linux:").unwrap_or(release)))
            }
            Self::Suse => {
                let name = if platform.name.is_empty() { &platform.product_id } else { &platform.name };
                if let Some(product) = name.strip_prefix("openSUSE ") {
                    return Some(Ecosystem::release(Family::OpenSuse, product));
                }
                name.strip_prefix("SUSE ")
                    .filter(|product| product.starts_with("Linux "))
                    .map(|product| Ecosystem::release(Family::Suse, product))
            }
        }
    }
}

/// A package of a release, as a product's id names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    ecosystem: Ecosystem,
    name: String,
    module: Option<String>,
}

/// Products and how they lie in each other.
struct Products<'a> {
    vendor: Vendor,
    named: HashMap<&'a str, &'a Product>,
    /// Component and platform by the id of both.
    within: HashMap<&'a str, (&'a str, &'a str)>,
}

impl Document {
    fn brought(self, name: &str) -> Brought {
        let Some(vendor) = Vendor::of(&self.document.publisher.name) else {
            return Brought::refused(name, format!("a CSAF document of '{}', whose packages are not known", self.document.publisher.name));
        };
        if self.document.category != "csaf_vex" {
            return Brought::refused(name, "a CSAF document that is no VEX: advisories of one publisher repeat what its VEX says");
        }
        let Some(products) = Products::of(vendor, &self.product_tree) else {
            return Brought::refused(name, "it has more products than any real one");
        };
        let mut brought = Brought::default();
        for vulnerability in &self.vulnerabilities {
            if is_cve(&vulnerability.cve) {
                brought.advisories.push(self.advisory(vendor, &products, vulnerability));
            } else {
                brought.quarantined.push((name.to_owned(), "a vulnerability without a CVE".into()));
            }
        }
        // Of what is in no product of theirs SUSE says no more than its title.
        if self.vulnerabilities.is_empty() && vendor != Vendor::Suse {
            return Brought::refused(name, "no vulnerability in it");
        }
        brought
    }

    fn advisory(&self, vendor: Vendor, products: &Products<'_>, vulnerability: &Vulnerability) -> Advisory {
        let time = |text: &str| Timestamp::parse(text).ok();
        let note = |category: &str| vulnerability.notes.iter().find(|note| note.category == category).map_or("", |note| note.text.as_str());
        let mut scores: Vec<Score> = Vec::new();
        let vectors = |record: &ScoreRecord| {
            [&record.cvss_v3, &record.cvss_v4, &record.cvss_v2]
                .into_iter()
                .flatten()
                .map(|vector| vector.vector_string.clone())
                .collect::<Vec<_>>()
        };
        for cvss in vulnerability.scores.iter().flat_map(vectors).filter_map(|vector| Cvss::parse(&vector).ok()) {
            let score = Score { cvss, source: ScoreSource(vendor.source().into()) };
            if !scores.contains(&score) {
                scores.push(score);
            }
        }
        let links = vulnerability.references.iter().filter(|link| link.url.starts_with("http") && link.url.len() <= 2048);
        Advisory {
            summary: cut(&vulnerability.title),
            details: cut([note("description"), note("summary"), note("general")]
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_default()),
            published: time(&vulnerability.release_date).or_else(|| time(&self.document.tracking.initial_release_date)),
            modified: time(&self.document.tracking.current_release_date),
            scores,
            vendor_severity: self.document.aggregate_severity.as_ref().map(|severity| severity.text.chars().take(64).collect()),
            cwes: vulnerability.cwe.iter().map(|cwe| cwe.id.clone()).collect(),
            references: links.take(100).map(|link| Reference { url: link.url.clone() }).collect(),
            affected: affected(products, vulnerability),
            ..Advisory::new(vendor.feed(), &vulnerability.cve)
        }
    }
}

fn affected(products: &Products<'_>, vulnerability: &Vulnerability) -> Vec<Affected> {
    let status = |names: &[&str]| -> Vec<&str> {
        names.iter().filter_map(|name| vulnerability.product_status.get(*name)).flatten().map(String::as_str).collect()
    };
    // SUSE says `recommended` where Red Hat says `fixed`.
    let mut fixes: BTreeMap<Package, String> = BTreeMap::new();
    for id in status(&["fixed", "first_fixed", "recommended"]) {
        let Some((package, Some(version))) = products.package(id) else { continue };
        let known = fixes.entry(package).or_insert_with(|| version.clone());
        // A line of updates carries a fix on: the first that had it is where it came in.
        if Scheme::Rpm.compare(&version, known).is_lt() {
            *known = version;
        }
    }
    let mut severities: HashMap<&str, &str> = HashMap::new();
    for threat in vulnerability.threats.iter().filter(|threat| threat.category == "impact") {
        severities.extend(threat.product_ids.iter().map(|id| (id.as_str(), threat.details.as_str())));
    }
    let mut states: HashMap<&str, FixState> = HashMap::new();
    for remediation in &vulnerability.remediations {
        if let Some(state) = state(remediation) {
            states.extend(remediation.product_ids.iter().map(|id| (id.as_str(), state)));
        }
    }
    let mut open: BTreeMap<Package, (FixState, Option<&str>)> = BTreeMap::new();
    for (names, otherwise) in [("known_affected", FixState::Open), ("under_investigation", FixState::UnderInvestigation)] {
        for id in status(&[names]) {
            let Some((package, _)) = products.package(id) else { continue };
            if !fixes.contains_key(&package) {
                open.insert(package, (states.get(id).copied().unwrap_or(otherwise), severities.get(id).copied()));
            }
        }
    }
    let fixed = fixes.into_iter().map(|(package, version)| {
        let entry = Affected::before(package.ecosystem, &package.name, &version);
        Affected { module: package.module, ..entry }
    });
    let open = open.into_iter().map(|(package, (state, severity))| {
        let entry = Affected::always(package.ecosystem, &package.name, state);
        Affected { module: package.module, vendor_severity: severity.map(|word| word.chars().take(64).collect()), ..entry }
    });
    fixed.chain(open).collect()
}

fn state(remediation: &Remediation) -> Option<FixState> {
    Some(match (remediation.category.as_str(), remediation.details.as_str()) {
        ("no_fix_planned", "Out of support scope") => FixState::EndOfLife,
        ("no_fix_planned", _) => FixState::WillNotFix,
        ("none_available", "Fix deferred" | "Deferred") => FixState::Deferred,
        ("none_available", "Under investigation") => FixState::UnderInvestigation,
        ("none_available", _) => FixState::Open,
        // Workarounds and fixes say nothing of what has no fix.
        _ => return None,
    })
}

impl<'a> Products<'a> {
    fn of(vendor: Vendor, tree: &'a Tree) -> Option<Self> {
        let mut named = HashMap::new();
        let mut open: Vec<&Branch> = tree.branches.iter().collect();
        let mut count = 0_usize;
        while let Some(branch) = open.pop() {
            count += 1;
            if count > MAX_BRANCHES {
                return None;
            }
            named.extend(branch.product.iter().map(|product| (product.product_id.as_str(), product)));
            open.extend(&branch.branches);
        }
        let pair = |relationship: &'a Relationship| {
            let (component, platform) = (relationship.product_reference.as_str(), relationship.relates_to_product_reference.as_str());
            (relationship.full_product_name.product_id.as_str(), (component, platform))
        };
        Some(Self { vendor, named, within: tree.relationships.iter().map(pair).collect() })
    }

    /// The package that an id names, and its version if it says one.
    fn package(&self, id: &str) -> Option<(Package, Option<String>)> {
        let (component, platform) = *self.within.get(id)?;
        let (ecosystem, module) = self.place(platform, 0)?;
        // `log4j:2/log4j` is a package of a module; `openshift/thing` is an image.
        let (of_name, plain) = match component.split_once('/') {
            Some((module, name)) if module.contains(':') => (Some(module.to_owned()), name),
            Some(_) => return None,
            None => (None, component),
        };
        let url = self.named.get(component).and_then(|product| product.product_identification_helper.purl.as_deref());
        let url = url.and_then(|url| url.parse::<PackageUrl>().ok());
        let (name, version, in_module) = match &url {
            Some(url) if url.kind == "rpm" => {
                let epoch = url.qualifiers.get("epoch").filter(|epoch| *epoch != "0").map(|epoch| format!("{epoch}:"));
                let version = url.version.as_ref().map(|version| format!("{}{version}", epoch.unwrap_or_default()));
                (url.name.clone(), version, url.qualifiers.get("rpmmod").map(|label| name_and_stream(label)))
            }
            // Images, modules and jars.
            Some(_) => return None,
            None => {
                let (name, version) = full_name(plain);
                (name, version, None)
            }
        };
        let is_source =
            url.as_ref().is_some_and(|url| url.qualifiers.get("arch").is_some_and(|arch| arch == "src")) || plain.ends_with(".src");
        // Of a fix the packages as they are installed are listed too.
        if is_source && version.is_some() {
            return None;
        }
        Some((Package { ecosystem, name, module: module.or(of_name).or(in_module) }, version))
    }

    /// The release and module that a platform is.
    fn place(&self, platform: &str, depth: usize) -> Option<(Ecosystem, Option<String>)> {
        if depth > MAX_NESTING {
            return None;
        }
        if let Some((module, outer)) = self.within.get(platform) {
            let (ecosystem, _) = self.place(outer, depth + 1)?;
            return Some((ecosystem, Some(name_and_stream(module))));
        }
        Some((self.vendor.release(self.named.get(platform)?)?, None))
    }
}

/// `nodejs:18` of `nodejs:18:8090020231019152822:a75119d5`.
fn name_and_stream(label: &str) -> String {
    label.splitn(3, ':').take(2).collect::<Vec<_>>().join(":")
}

/// Name and version of `kernel-0:5.14.0-70.13.1.el9_0.x86_64`, of `samba-4.19.4+git.339-1.22`, of `openssl`.
fn full_name(text: &str) -> (String, Option<String>) {
    const ARCHITECTURES: [&str; 9] = ["x86_64", "aarch64", "s390x", "ppc64le", "ppc64", "i686", "noarch", "src", "ppc"];
    let bare = ARCHITECTURES.iter().find_map(|arch| text.strip_suffix(arch)?.strip_suffix('.')).unwrap_or(text);
    let parts = bare.rsplit_once('-').and_then(|(rest, release)| Some((rest.rsplit_once('-')?, release)));
    match parts {
        Some(((name, version), release)) if version.starts_with(|c: char| c.is_ascii_digit()) && !release.is_empty() => {
            (name.to_owned(), Some(format!("{}-{release}", version.strip_prefix("0:").unwrap_or(version))))
        }
        _ => (bare.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use serde_json::{Value, json};

    fn platform(id: &str, cpe: &str) -> Value {
        json!({"category": "product_name", "name": id, "product": {"product_id": id, "name": id, "product_identification_helper": {"cpe": cpe}}})
    }

    fn within(component: &str, platform: &str) -> Value {
        json!({"category": "default_component_of", "full_product_name": {"product_id": format!("{platform}:{component}"), "name": "x"},
            "product_reference": component, "relates_to_product_reference": platform})
    }

    fn document(publisher: &str, platforms: &[Value], relationships: &[Value], vulnerability: Value) -> String {
        json!({"document": {"csaf_version": "2.0", "category": "csaf_vex", "publisher": {"name": publisher}, "aggregate_severity": {"text": "moderate"}},
            "product_tree": {"branches": [{"name": "vendor", "branches": platforms}], "relationships": relationships},
            "vulnerabilities": [vulnerability]})
        .to_string()
    }

    fn read(text: &str) -> Vec<String> {
        let brought = super::super::read("cve.json", Syntax::Json, text);
        let entries = brought.advisories.iter().flat_map(|advisory| &advisory.affected).map(|affected| {
            let fix = affected.ranges[0].events.get(1).map_or_else(|| affected.unfixed.as_str().to_owned(), |event| format!("{event:?}"));
            format!("{} {} {} {fix}", affected.ecosystem, affected.name, affected.module.as_deref().unwrap_or("-"))
        });
        entries.chain(brought.quarantined.iter().map(|(_, reason)| reason.clone())).collect()
    }

    #[test]
    fn red_hats_statuses_are_told_apart() {
        let platforms = [
            platform("BaseOS-9.2", "cpe:/o:redhat:enterprise_linux:9::baseos"),
            platform("AppStream-8.9", "cpe:/a:redhat:enterprise_linux:8::appstream"),
            platform("red_hat_enterprise_linux_9", "cpe:/o:redhat:enterprise_linux:9"),
            platform("openshift", "cpe:/a:redhat:openshift:4.12::el8"),
        ];
        let module = "nodejs:18:8090020231019152822:a75119d5";
        let relationships = [
            within("bash-0:5.1.8-6.el9_2.x86_64", "BaseOS-9.2"),
            within("bash-0:5.1.8-9.el9_4.x86_64", "BaseOS-9.2"),
            within("bash-0:5.1.8-6.el9_2.src", "BaseOS-9.2"),
            within(module, "AppStream-8.9"),
            within("nodejs-1:18.18.2-1.module+el8.9.0+20408.x86_64", &format!("AppStream-8.9:{module}")),
            within("kernel", "red_hat_enterprise_linux_9"),
            within("log4j:2/log4j", "red_hat_enterprise_linux_9"),
            within("zsh", "red_hat_enterprise_linux_9"),
            within("jenkins-0:2.401-3.el8.noarch", "openshift"),
        ];
        let vulnerability = json!({"cve": "CVE-2023-1000", "title": "t",
            "product_status": {
                "fixed": ["BaseOS-9.2:bash-0:5.1.8-9.el9_4.x86_64", "BaseOS-9.2:bash-0:5.1.8-6.el9_2.x86_64", "BaseOS-9.2:bash-0:5.1.8-6.el9_2.src",
                    format!("AppStream-8.9:{module}:nodejs-1:18.18.2-1.module+el8.9.0+20408.x86_64"), "openshift:jenkins-0:2.401-3.el8.noarch"],
                "known_affected": ["red_hat_enterprise_linux_9:kernel", "red_hat_enterprise_linux_9:log4j:2/log4j"],
                "under_investigation": ["red_hat_enterprise_linux_9:zsh"], "known_not_affected": ["red_hat_enterprise_linux_9:nothing"]},
            "remediations": [{"category": "no_fix_planned", "details": "Out of support scope", "product_ids": ["red_hat_enterprise_linux_9:kernel"]},
                {"category": "none_available", "details": "Fix deferred", "product_ids": ["red_hat_enterprise_linux_9:log4j:2/log4j"]}],
            "scores": [{"cvss_v3": {"vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L"}, "products": []}]});
        assert_eq!(
            read(&document("Red Hat Product Security", &platforms, &relationships, vulnerability)),
            [
                "Red Hat:8 nodejs nodejs:18 Fixed(\"1:18.18.2-1.module+el8.9.0+20408\")",
                "Red Hat:9 bash - Fixed(\"5.1.8-6.el9_2\")",
                "Red Hat:9 kernel - end-of-life",
                "Red Hat:9 log4j log4j:2 deferred",
                "Red Hat:9 zsh - under-investigation",
            ]
        );
    }

    #[test]
    fn suse_recommends_the_fix() {
        let platforms = [platform("SUSE Linux Enterprise Module for Basesystem 15 SP4", "x"), platform("openSUSE Leap 15.4", "x")];
        let relationships = [
            within("samba-libs-4.19.4+git.339.acf1ccaa02-1.22", "SUSE Linux Enterprise Module for Basesystem 15 SP4"),
            within("samba-libs-4.19.4+git.339.acf1ccaa02-1.22.x86_64", "openSUSE Leap 15.4"),
        ];
        let vulnerability = json!({"cve": "CVE-2023-5568", "product_status": {"recommended": [
            "SUSE Linux Enterprise Module for Basesystem 15 SP4:samba-libs-4.19.4+git.339.acf1ccaa02-1.22",
            "openSUSE Leap 15.4:samba-libs-4.19.4+git.339.acf1ccaa02-1.22.x86_64"]}});
        let fixed = "samba-libs - Fixed(\"4.19.4+git.339.acf1ccaa02-1.22\")";
        assert_eq!(
            read(&document("SUSE Product Security Team", &platforms, &relationships, vulnerability)),
            [format!("openSUSE:Leap 15.4 {fixed}"), format!("SUSE:Linux Enterprise Module for Basesystem 15 SP4 {fixed}")]
        );
    }

    #[test]
    fn products_that_lie_in_each_other_in_a_circle_are_none() {
        let relationships = [
            within("a", "b"),
            json!({"full_product_name": {"product_id": "b"}, "product_reference": "x", "relates_to_product_reference": "b:a"}),
        ];
        let relationships: Vec<Value> = relationships
            .into_iter()
            .chain([json!({"full_product_name": {"product_id": "b:a"}, "product_reference": "a", "relates_to_product_reference": "b"})])
            .collect();
        let vulnerability = json!({"cve": "CVE-2023-1000", "product_status": {"fixed": ["b:a"]}});
        assert_eq!(read(&document("Red Hat", &[], &relationships, vulnerability)), [""; 0]);
        assert_eq!(read(&document("Somebody", &[], &[], json!({}))).len(), 1);
    }
}
