//! Java archives (jar, war, ear and their like), also in one another: what Maven wrote into them, their manifests, their names.
//!
//! Of the three the first that says all wins. A jar that names its version and artifact and not the group that it belongs to is
//! placed by the names of well-known groups; where those do not help it is listed as a package that nobody judges.

use super::archives::{Allowance, Archive};
use super::documents::package;
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_artifact::Size;
use lestrade_model::{Family, Manager};
use std::collections::BTreeSet;

pub(super) struct Jar;

const ENDINGS: [&str; 8] = [".jar", ".war", ".ear", ".par", ".hpi", ".jpi", ".kar", ".sar"];

impl Extractor for Jar {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "jar", version: 3 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/*.{jar,war,ear,par,hpi,jpi,kar,sar}"]
    }

    fn largest(&self) -> Size {
        Size::Large
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let mut allowance = Allowance::of(file.content);
        let archive = Archive::open(file.content, 0, &mut allowance)?;
        read(archive, file.path, "", 0, &mut allowance, out);
        Ok(())
    }
}

/// Group, artifact and version, as Maven has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Coordinates {
    group: String,
    artifact: String,
    version: String,
}

impl Coordinates {
    fn is_whole(&self) -> bool {
        !self.group.is_empty() && !self.artifact.is_empty() && !self.version.is_empty()
    }
}

/// Reads an archive that lies at `place` in the file. What is wrong with a part of it costs that part.
fn read(mut archive: Archive<'_>, path: &str, place: &str, depth: usize, allowance: &mut Allowance, out: &mut dyn InventorySink) {
    let mut declared: BTreeSet<Coordinates> = BTreeSet::new();
    let mut manifest = Manifest::default();
    let mut inner = Vec::new();
    if let Some(doubt) = archive.ambiguity() {
        out.problem(if place.is_empty() { doubt } else { doubt.at(place.trim_end_matches('/')) });
    }
    for (number, name) in archive.names() {
        let lower = name.to_ascii_lowercase();
        let is_manifest = lower == "meta-inf/manifest.mf";
        if is_manifest || lower.ends_with("pom.properties") {
            match archive.manifest(number, allowance) {
                Ok(content) if is_manifest => manifest = Manifest::read(&String::from_utf8_lossy(&content)),
                Ok(content) => drop(declared.insert(properties(&String::from_utf8_lossy(&content)))),
                Err(error) => out.problem(error.at(&format!("{place}{name}"))),
            }
        } else if ENDINGS.iter().any(|ending| lower.ends_with(ending)) {
            inner.push((number, name));
        }
    }
    declared.retain(Coordinates::is_whole);
    let own = own(path, &declared, &manifest);
    for coordinates in declared.into_iter().chain(own) {
        let (family, name) = if coordinates.group.is_empty() {
            // Nobody's advisories name it so: it is listed, and not called clean.
            (Family::Other("Maven artifacts of unknown groups".into()), coordinates.artifact)
        } else {
            (Family::Maven, format!("{}:{}", coordinates.group, coordinates.artifact))
        };
        out.found_in(place.trim_end_matches('/'), package(family, Manager::Jar, &name, &coordinates.version));
    }
    for (number, name) in inner {
        let at = format!("{place}{name}");
        let content = match archive.inner(number, allowance) {
            Ok(content) => content,
            Err(error) => {
                out.problem(error.at(&at));
                continue;
            }
        };
        match Archive::open(&content, depth + 1, allowance) {
            Ok(archive) => read(archive, &name, &format!("{at}/"), depth + 1, allowance, out),
            Err(error) => out.problem(error.at(&at)),
        }
        allowance.release(content);
    }
}

/// What the archive itself is, where nothing in it said so.
fn own(path: &str, declared: &BTreeSet<Coordinates>, manifest: &Manifest) -> Option<Coordinates> {
    let named = file_name(path);
    let is_own = |coordinates: &Coordinates| match &named {
        Some((artifact, version)) => coordinates.artifact == *artifact && coordinates.version == *version,
        None => false,
    };
    // A jar that was made of several says what each of them is; one of them is its own.
    if declared.iter().any(is_own) {
        return None;
    }
    let said = manifest.coordinates();
    let artifact_of_manifest = said.artifact.clone();
    let (artifact, version) = match named {
        Some(named) => named,
        None if !artifact_of_manifest.is_empty() && !said.version.is_empty() => (artifact_of_manifest, said.version.clone()),
        None => return None,
    };
    if declared.iter().any(|coordinates| coordinates.artifact == artifact) {
        return None;
    }
    let named_for_people = artifact.contains(' ');
    let group = known_group(&artifact).map(str::to_owned).or_else(|| manifest.group(&artifact).filter(|_| !named_for_people));
    let group = group.unwrap_or_default();
    let own = Coordinates { group, artifact, version };
    // With other coordinates inside and nothing but a file name of its own, it is what was put together from them.
    (own.is_whole() || declared.is_empty()).then_some(own)
}

/// `commons-lang3-3.12.0.jar`: what stands before the version, and the version.
fn file_name(path: &str) -> Option<(String, String)> {
    let name = path.rsplit('/').next()?;
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let begins_version = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let at = stem.match_indices('-').map(|(at, _)| at).find(|at| begins_version(&stem[at + 1..]))?;
    let (artifact, version) = (&stem[..at], &stem[at + 1..]);
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b));
    (plain(artifact) && plain(version)).then(|| (artifact.to_owned(), version.to_owned()))
}

fn properties(text: &str) -> Coordinates {
    let mut out = Coordinates::default();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some((key, value)) = line.split_once(['=', ':']) {
            let value = value.trim().to_owned();
            match key.trim() {
                "groupId" => out.group = value,
                "artifactId" => out.artifact = value,
                "version" => out.version = value,
                _ => {}
            }
        }
    }
    out
}

/// The main attributes of a manifest (JAR file specification).
#[derive(Default)]
struct Manifest {
    attributes: Vec<(String, String)>,
}

impl Manifest {
    fn read(text: &str) -> Self {
        let mut attributes: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            let line = line.trim_end_matches('\r');
            match (line.strip_prefix(' '), attributes.last_mut(), line.split_once(':')) {
                (_, Some(_), _) if line.is_empty() => break,
                // A line goes on in the next after a blank.
                (Some(rest), Some((_, value)), _) => value.push_str(rest),
                (None, _, Some((key, value))) => attributes.push((key.trim().to_ascii_lowercase(), value.trim().to_owned())),
                _ => {}
            }
        }
        Self { attributes }
    }

    fn get(&self, keys: &[&str]) -> &str {
        let value = |key: &&str| self.attributes.iter().find(|(name, value)| name == *key && !value.is_empty());
        keys.iter().find_map(value).map_or("", |(_, value)| value)
    }

    fn coordinates(&self) -> Coordinates {
        let titles = ["implementation-title", "specification-title", "bundle-name", "short-name"];
        // A title with blanks is for people and no artifact's name; it is better than none.
        let artifact = titles.iter().map(|title| self.get(&[title])).find(|title| !title.is_empty() && !title.contains(' '));
        Coordinates {
            group: String::new(),
            artifact: artifact.unwrap_or_else(|| self.get(&titles)).to_owned(),
            version: self.get(&["implementation-version", "plugin-version", "specification-version", "bundle-version"]).to_owned(),
        }
    }

    /// The group, by what is written where groups usually are.
    fn group(&self, artifact: &str) -> Option<String> {
        let dotted = |text: &str| text.contains('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let vendor = self.get(&["implementation-vendor-id", "group-id"]);
        if dotted(vendor) {
            return Some(vendor.to_owned());
        }
        // `org.apache.commons.commons-lang3` or `org.apache.commons.lang3`: the bundle's name without its last part.
        let bundle = self.get(&["bundle-symbolicname", "automatic-module-name"]).split(';').next().unwrap_or_default().trim();
        let group = bundle.strip_suffix(artifact).and_then(|rest| rest.strip_suffix('.')).or_else(|| Some(bundle.rsplit_once('.')?.0))?;
        dotted(group).then(|| group.to_owned())
    }
}

/// Groups of widely used artifacts whose jars do not say theirs, by the artifact's name or what it begins with.
const GROUPS: &[(&str, &str)] = &[
    ("spring-boot", "org.springframework.boot"),
    ("spring-security", "org.springframework.security"),
    ("spring-cloud", "org.springframework.cloud"),
    ("spring-data", "org.springframework.data"),
    ("spring-session", "org.springframework.session"),
    ("spring-batch", "org.springframework.batch"),
    ("spring-integration", "org.springframework.integration"),
    ("spring-kafka", "org.springframework.kafka"),
    ("spring-amqp", "org.springframework.amqp"),
    ("spring-rabbit", "org.springframework.amqp"),
    ("spring-ldap", "org.springframework.ldap"),
    ("spring-ws", "org.springframework.ws"),
    ("spring-hateoas", "org.springframework.hateoas"),
    ("spring-graphql", "org.springframework.graphql"),
    ("spring-", "org.springframework"),
    ("tomcat-embed-", "org.apache.tomcat.embed"),
    ("tomcat-", "org.apache.tomcat"),
    ("catalina", "org.apache.tomcat"),
    ("log4j-1.2-api", "org.apache.logging.log4j"),
    ("log4j-api", "org.apache.logging.log4j"),
    ("log4j-core", "org.apache.logging.log4j"),
    ("log4j-slf4j", "org.apache.logging.log4j"),
    ("log4j", "log4j"),
    ("commons-text", "org.apache.commons"),
    ("commons-lang3", "org.apache.commons"),
    ("commons-compress", "org.apache.commons"),
    ("commons-collections4", "org.apache.commons"),
    ("commons-configuration2", "org.apache.commons"),
    ("commons-collections", "commons-collections"),
    ("commons-fileupload", "commons-fileupload"),
    ("commons-beanutils", "commons-beanutils"),
    ("commons-httpclient", "commons-httpclient"),
    ("commons-io", "commons-io"),
    ("commons-codec", "commons-codec"),
    ("commons-dbcp", "commons-dbcp"),
    ("commons-pool", "commons-pool"),
    ("commons-logging", "commons-logging"),
    ("commons-net", "commons-net"),
    ("jackson-dataformat-", "com.fasterxml.jackson.dataformat"),
    ("jackson-datatype-", "com.fasterxml.jackson.datatype"),
    ("jackson-module-", "com.fasterxml.jackson.module"),
    ("jackson-mapper-asl", "org.codehaus.jackson"),
    ("jackson-core-asl", "org.codehaus.jackson"),
    ("jackson-", "com.fasterxml.jackson.core"),
    ("netty-", "io.netty"),
    ("reactor-netty", "io.projectreactor.netty"),
    ("reactor-", "io.projectreactor"),
    ("micrometer-", "io.micrometer"),
    ("grpc-", "io.grpc"),
    ("okhttp", "com.squareup.okhttp3"),
    ("okio", "com.squareup.okio"),
    ("retrofit", "com.squareup.retrofit2"),
    ("kotlin-", "org.jetbrains.kotlin"),
    ("kafka-clients", "org.apache.kafka"),
    ("kafka_", "org.apache.kafka"),
    ("lucene-", "org.apache.lucene"),
    ("elasticsearch", "org.elasticsearch"),
    ("hibernate-validator", "org.hibernate.validator"),
    ("hibernate-core", "org.hibernate"),
    ("bcprov-", "org.bouncycastle"),
    ("bcpkix-", "org.bouncycastle"),
    ("mysql-connector-java", "mysql"),
    ("postgresql", "org.postgresql"),
    ("groovy", "org.codehaus.groovy"),
    ("gson", "com.google.code.gson"),
    ("guava", "com.google.guava"),
    ("protobuf-java", "com.google.protobuf"),
    ("snakeyaml", "org.yaml"),
    ("xstream", "com.thoughtworks.xstream"),
    ("fastjson", "com.alibaba"),
    ("dom4j", "org.dom4j"),
    ("jetty-", "org.eclipse.jetty"),
    ("undertow-", "io.undertow"),
    ("shiro-", "org.apache.shiro"),
    ("struts2-", "org.apache.struts"),
    ("velocity", "org.apache.velocity"),
    ("logback-", "ch.qos.logback"),
    ("slf4j-", "org.slf4j"),
    ("javax.el", "org.glassfish"),
    ("httpclient5", "org.apache.httpcomponents.client5"),
    ("httpclient", "org.apache.httpcomponents"),
    ("httpcore", "org.apache.httpcomponents"),
    ("junit", "junit"),
    ("h2", "com.h2database"),
    ("json", "org.json"),
    ("json-smart", "net.minidev"),
    ("caffeine", "com.github.ben-manes.caffeine"),
];

fn known_group(artifact: &str) -> Option<&'static str> {
    // Names that end in a hyphen are beginnings, and so are those of families; the exact name wins.
    let exact = GROUPS.iter().find(|(name, _)| *name == artifact);
    let begins = |name: &str| {
        artifact.strip_prefix(name).is_some_and(|rest| name.ends_with(['-', '_']) || rest.starts_with('-')) && name.contains('-')
    };
    exact.or_else(|| GROUPS.iter().find(|(name, _)| begins(name))).map(|(_, group)| *group)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::extractors::read_bytes;
    use std::io::{Cursor, Write};
    use zip::write::{SimpleFileOptions, ZipWriter};

    pub(in crate::extractors) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// Bytes that no compression makes fewer.
    fn noise(length: usize) -> Vec<u8> {
        let step = |state: &mut u64| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            Some((*state >> 56) as u8)
        };
        std::iter::repeat(()).scan(1_u64, |state, ()| step(state)).take(length).collect()
    }

    fn pom(group: &str, artifact: &str, version: &str) -> Vec<u8> {
        format!("#comment\ngroupId={group}\nartifactId={artifact}\nversion={version}\n").into_bytes()
    }

    fn packages(path: &str, content: &[u8]) -> Vec<String> {
        read_bytes(path, content).found.into_iter().map(|found| format!("{} {}", found.name, found.version)).collect()
    }

    #[test]
    fn what_maven_wrote_the_manifest_and_the_name() {
        let maven =
            archive(&[("META-INF/maven/g/a/pom.properties", &pom("g", "a", "1.0")), ("META-INF/MANIFEST.MF", b"Bundle-Name: other\n")]);
        assert_eq!(packages("lib/a-1.0.jar", &maven), ["g:a 1.0"]);
        let manifest = b"Manifest-Version: 1.0\r\nImplementation-Title: a\r\nImplementation-Version: 1.\r\n 2\r\nImplementation-Vendor-Id: org.g\r\n\r\nName: x\r\nImplementation-Title: b\r\n";
        assert_eq!(packages("lib/renamed.jar", &archive(&[("META-INF/MANIFEST.MF", manifest)])), ["org.g:a 1.2"]);
        assert_eq!(packages("lib/spring-core-5.3.3.jar", &archive(&[("x", b"")])), ["org.springframework:spring-core 5.3.3"]);
        assert_eq!(packages("lib/nobodys-2.0.jar", &archive(&[("x", b"")])), ["nobodys 2.0"], "listed, and judged by nobody");
        assert_eq!(packages("lib/plain.jar", &archive(&[("x", b"")])), [""; 0]);
    }

    #[test]
    fn trap_11_every_artefact_in_a_shaded_jar_is_found() {
        let shaded = archive(&[
            ("META-INF/maven/g/app/pom.properties", &pom("g", "app", "1.0")),
            ("META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties", &pom("org.apache.logging.log4j", "log4j-core", "2.14.1")),
        ]);
        let mut found = packages("lib/app-1.0.jar", &shaded);
        found.sort_unstable();
        assert_eq!(found, ["g:app 1.0", "org.apache.logging.log4j:log4j-core 2.14.1"]);
    }

    #[test]
    fn archives_in_archives_have_their_places() {
        let inner = archive(&[("META-INF/maven/g/b/pom.properties", &pom("g", "b", "2"))]);
        let middle = archive(&[("lib/b.jar", &inner)]);
        let outer = archive(&[("WEB-INF/lib/m.jar", &middle), ("META-INF/maven/g/a/pom.properties", &pom("g", "a", "1"))]);
        let report = read_bytes("srv/app.war", &outer);
        let places: Vec<_> = report.found.iter().map(|found| report.place_of(found)).collect();
        assert_eq!((report.found.len(), places), (2, vec!["srv/app.war".to_owned(), "srv/app.war/WEB-INF/lib/m.jar/lib/b.jar".to_owned()]));
    }

    #[test]
    fn a_name_that_is_no_text_is_read_like_any() {
        let inner = archive(&[("META-INF/maven/g/b/pom.properties", &pom("g", "b", "2"))]);
        let mut outer = archive(&[("lib/\u{e9}.jar", &inner)]);
        let name = "\u{e9}".as_bytes();
        for at in 0..outer.len() - 1 {
            if &outer[at..at + 2] == name {
                outer[at] = 0xff;
            }
        }
        assert_eq!(packages("a.jar", &outer), ["g:b 2"]);
    }

    #[test]
    fn hostile_archives_are_problems_and_cost_little() {
        let mut russian = archive(&[("META-INF/maven/g/a/pom.properties", &pom("g", "a", "1"))]);
        for _ in 0..60 {
            russian = archive(&[("x.jar", &russian)]);
        }
        let report = read_bytes("a.jar", &russian);
        assert_eq!((report.found.len(), report.problems.len()), (0, 1));
        let whole = archive(&[("META-INF/maven/g/a/pom.properties", &pom("g", "a", "1"))]);
        let many: Vec<(String, &[u8])> = (0..1200).map(|n| (format!("{n}.jar"), whole.as_slice())).collect();
        let many: Vec<(&str, &[u8])> = many.iter().map(|(name, content)| (name.as_str(), *content)).collect();
        let report = read_bytes("a.jar", &archive(&many));
        assert!(report.found.len() < 1000 && !report.problems.is_empty());
        // Each level holds on to what it inflated while the next is read.
        let mut deep = archive(&[("META-INF/maven/g/a/pom.properties", &pom("g", "a", "1")), ("ballast", &noise(30 << 20))]);
        for _ in 0..3 {
            deep = archive(&[("x.jar", &deep)]);
        }
        let report = read_bytes("a.jar", &deep);
        assert_eq!((report.found.len(), report.problems.len()), (0, 1), "{:?}", report.problems);
        let bomb = archive(&[("META-INF/MANIFEST.MF", &vec![b'a'; 64 << 20]), ("META-INF/maven/g/a/pom.properties", &pom("g", "a", "1"))]);
        let report = read_bytes("a.jar", &bomb);
        assert_eq!((report.found.len(), report.problems.len()), (1, 1));
        // Whoever reads it as a stream sees another file; what its directory says is listed, and the rest said.
        let inner = archive(&[("META-INF/maven/g/b/pom.properties", &pom("g", "b", "2"))]);
        let mut smuggling = archive(&[("META-INF/maven/g/a/pom.properties", &pom("g", "a", "1")), ("x.jar", &inner)]);
        smuggling[39..44].copy_from_slice(b"other");
        let report = read_bytes("a.jar", &smuggling);
        assert_eq!((report.found.len(), report.problems.len()), (2, 1), "{:?}", report.problems);
        assert!(report.problems[0].1.contains("the archive is ambiguous"), "{:?}", report.problems);
        // An archive whose entry is its own directory and end: it holds itself, and is left alone at some depth.
        let mut itself = archive(&[("x.jar", b"")]);
        let (directory, end) = (itself.len() - 22 - 51, itself.len());
        for at in [18, 22, directory + 20, directory + 24] {
            itself[at..at + 4].copy_from_slice(&u32::try_from(end - directory).unwrap().to_le_bytes());
        }
        assert!(!read_bytes("a.jar", &itself).problems.is_empty());
        for cut in 0..whole.len() {
            let report = read_bytes("a.jar", &whole[..cut]);
            assert!(report.found.is_empty() && report.problems.len() == 1, "cut at {cut}");
        }
        for bad in [&b""[..], b"PK\x03\x04", b"not a zip"] {
            assert_eq!(read_bytes("a.jar", bad).problems.len(), 1);
        }
    }
}
