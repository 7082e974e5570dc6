//! Package URLs as the field's common name for a component: from one to the other and back.
//!
//! Qualifiers are those that other tools write and read: `distro` is the release (`debian-12`), `upstream` the source package
//! (`openssl` or `openssl@3.0.9-1`), `epoch` that of an rpm, `rpmmod` its module stream (`nodejs:18`).

use crate::{Component, Ecosystem, Family, OsRelease, PackageUrl};
use std::borrow::Cow;

/// Types, with the namespace that a distribution's packages have.
const TYPES: &[(Family, &str, Option<&str>)] = &[
    (Family::Debian, "deb", Some("debian")),
    (Family::Ubuntu, "deb", Some("ubuntu")),
    (Family::Alpine, "apk", Some("alpine")),
    (Family::Wolfi, "apk", Some("wolfi")),
    (Family::Chainguard, "apk", Some("chainguard")),
    (Family::AlmaLinux, "rpm", Some("almalinux")),
    (Family::RockyLinux, "rpm", Some("rocky-linux")),
    (Family::RedHat, "rpm", Some("redhat")),
    (Family::Amazon, "rpm", Some("amazon")),
    (Family::Oracle, "rpm", Some("oracle")),
    (Family::Suse, "rpm", Some("suse")),
    (Family::OpenSuse, "rpm", Some("opensuse")),
    (Family::Fedora, "rpm", Some("fedora")),
    (Family::Bottlerocket, "rpm", Some("bottlerocket")),
    (Family::Arch, "alpm", Some("arch")),
    (Family::Photon, "rpm", Some("photon")),
    (Family::AzureLinux, "rpm", Some("azurelinux")),
    (Family::PyPi, "pypi", None),
    (Family::Npm, "npm", None),
    (Family::CratesIo, "cargo", None),
    (Family::Go, "golang", None),
    (Family::RubyGems, "gem", None),
    (Family::Maven, "maven", None),
    (Family::NuGet, "nuget", None),
    (Family::Packagist, "composer", None),
    (Family::Pub, "pub", None),
    (Family::Hex, "hex", None),
    (Family::Cran, "cran", None),
    (Family::Hackage, "hackage", None),
    (Family::SwiftUrl, "swift", None),
    (Family::ConanCenter, "conan", None),
    (Family::Bitnami, "bitnami", None),
    (Family::CocoaPods, "cocoapods", None),
    (Family::Conda, "conda", None),
    (Family::Kubernetes, "k8s", None),
];

/// Releases that package URLs name by their code name.
const CODE_NAMES: &[(&str, &str)] = &[
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
    ("xenial", "16.04"),
    ("bionic", "18.04"),
    ("focal", "20.04"),
    ("jammy", "22.04"),
    ("noble", "24.04"),
];

impl Component {
    /// The package URL of this component; none where its ecosystem has no type.
    #[must_use]
    pub fn purl(&self) -> Option<String> {
        let (_, kind, distribution) = TYPES.iter().find(|(family, ..)| *family == self.ecosystem.family)?;
        let (namespace, name) = match (distribution, *kind) {
            (Some(distribution), _) => (Some(*distribution), self.name.as_str()),
            (None, "maven") => self.name.split_once(':').map_or((None, self.name.as_str()), |(group, name)| (Some(group), name)),
            (None, _) => self.name.rsplit_once('/').map_or((None, self.name.as_str()), |(namespace, name)| (Some(namespace), name)),
        };
        let (epoch, version) = match (*kind, self.version.split_once(':')) {
            ("rpm", Some((epoch, version))) => (epoch, version),
            _ => ("", self.version.as_str()),
        };
        let distro = match (distribution, &self.ecosystem.release) {
            (Some(distribution), Some(release)) => format!("{distribution}-{}", release.trim_start_matches('v')),
            _ => String::new(),
        };
        let upstream = match &self.source {
            Some(source) if source.version == self.version => source.name.clone(),
            Some(source) => format!("{}@{}", source.name, source.version),
            None => String::new(),
        };
        let url = PackageUrl::new(kind, namespace, name, Some(version)).ok()?;
        let url = url.with("distro", &distro).ok()?.with("epoch", epoch).ok()?.with("upstream", &upstream).ok()?;
        let url = url.with("rpmmod", self.module.as_deref().unwrap_or_default()).ok()?;
        Some(url.to_string())
    }

    /// The component that a package URL names. A distribution's package that names no release is one of `os`; none where the type
    /// is not one of packages that advisories speak of.
    #[must_use]
    pub fn from_purl(url: &PackageUrl, os: Option<&OsRelease>) -> Option<Self> {
        let (mut component, names_release) = Self::from_purl_alone(url)?;
        if let Some(system) = os.and_then(OsRelease::ecosystem).filter(|_| !names_release) {
            component.ecosystem = system;
        }
        Some(component)
    }

    /// The same without looking at a system; and whether the package URL says all that there is to say: a distribution's package that
    /// names no release is one of the system that it is in, if that is known, and its ecosystem is then that system's.
    #[must_use]
    pub fn from_purl_alone(url: &PackageUrl) -> Option<(Self, bool)> {
        let version = url.version.as_deref().unwrap_or_default();
        let joined = |separator: char| match &url.namespace {
            Some(namespace) => format!("{namespace}{separator}{}", url.name),
            None => url.name.clone(),
        };
        match url.kind.as_str() {
            "deb" | "apk" | "rpm" | "alpm" => {
                let epoch = url.qualifiers.get("epoch").filter(|epoch| *epoch != "0" && !version.contains(':'));
                let version = epoch.map_or_else(|| version.to_owned(), |epoch| format!("{epoch}:{version}"));
                let (system, names_release) = system(url);
                let component = Self::new(system, &url.name, &version);
                // Red Hat's have the whole label there: name, stream, version, context.
                let module = url.qualifiers.get("rpmmod").map(|label| label.splitn(3, ':').take(2).collect::<Vec<_>>().join(":"));
                let component = component.in_module(module);
                let component = match url.qualifiers.get("upstream").and_then(|upstream| source(upstream, &version)) {
                    Some((name, version)) => component.from_source(&name, &version),
                    None => component,
                };
                Some((component, names_release))
            }
            // It is read and not written: a package URL of Julia's names the package's UUID, which a component does not have.
            "julia" => Some((Self::new(Ecosystem::of(Family::Julia), &url.name, version), true)),
            kind => {
                let (family, ..) = TYPES.iter().find(|(_, known, distribution)| *known == kind && distribution.is_none())?;
                let name = joined(if kind == "maven" { ':' } else { '/' });
                Some((Self::new(Ecosystem::of(family.clone()), &name, version), true))
            }
        }
    }
}

/// What a package URL names that is written as plainly as most are: a package of a language, with nothing in it that is escaped,
/// qualified or spelt in another way; its name as it is indexed, and its version. None says nothing: such a one is read as a
/// [`PackageUrl`], which comes to the same.
#[must_use]
pub fn plain_purl(text: &str) -> Option<(Family, Cow<'_, str>, &str)> {
    let rest = text.strip_prefix("pkg:").filter(|_| text.len() <= PackageUrl::LONGEST)?;
    let (kind, path) = rest.split_once('/')?;
    // Not looked up: the answer is wanted a million times.
    let (family, may_have_namespace, may_have_capitals) = match kind {
        "npm" => (Family::Npm, true, true),
        "maven" => (Family::Maven, true, true),
        "pypi" => (Family::PyPi, false, false),
        "golang" => (Family::Go, true, true),
        "cargo" => (Family::CratesIo, false, true),
        "nuget" => (Family::NuGet, false, true),
        "gem" => (Family::RubyGems, true, true),
        "composer" => (Family::Packagist, true, false),
        _ => return None,
    };
    // Where the last part begins, and where its version does. A slash before the first byte and after the last would be one too many.
    let (mut last, mut at) = (0, None);
    let mut before = b'/';
    for (place, byte) in path.bytes().enumerate() {
        match byte {
            b'%' | b'?' | b'#' => return None,
            b'/' if before == b'/' => return None,
            b'/' => (last, at) = (place + 1, None),
            b'@' => at = Some(place),
            b'A'..=b'Z' if !may_have_capitals => return None,
            byte if !byte.is_ascii_graphic() => return None,
            _ => {}
        }
        before = byte;
    }
    if before == b'/' {
        return None;
    }
    let (whole, version) = at.map_or((path, ""), |at| (&path[..at], &path[at + 1..]));
    if whole.len() == last || (last > 0 && !may_have_namespace) {
        return None;
    }
    let name = if kind == "maven" && last > 0 {
        Cow::Owned(format!("{}:{}", &whole[..last - 1], &whole[last..]))
    } else {
        family.normalise(whole)
    };
    Some((family, name, version))
}

/// The release that a distribution's package is of, and whether it is said.
fn system(url: &PackageUrl) -> (Ecosystem, bool) {
    let namespace = url.namespace.as_deref().unwrap_or_default();
    let said = url.qualifiers.get("distro").map(|distro| {
        let numbered = distro.rsplit_once('-').filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
        let (id, version) = numbered.unwrap_or_else(|| {
            let number = CODE_NAMES.iter().find(|(name, _)| name == distro).map_or("", |(_, number)| number);
            if number.is_empty() { (distro.as_str(), "") } else { (namespace, number) }
        });
        release(id, version)
    });
    match said.as_ref().and_then(OsRelease::ecosystem) {
        Some(known) => (known, true),
        None => (release(namespace, "").ecosystem().unwrap_or_else(|| Ecosystem::of(Family::Other(namespace.to_owned()))), false),
    }
}

/// A release, by the name that os-release files have for it.
fn release(id: &str, version: &str) -> OsRelease {
    let id = match id {
        "amazon" => "amzn",
        "redhat" => "rhel",
        "rocky-linux" | "rockylinux" => "rocky",
        "alma" => "almalinux",
        "oracle" => "ol",
        "suse" => "sles",
        "cbl-mariner" => "mariner",
        other => other,
    };
    OsRelease { id: id.to_owned(), version: version.to_owned(), pretty_name: String::new() }
}

/// A source package's name and version: `openssl`, `openssl@3.0.9-1`, `openssl-3.0.7-24.el9.src.rpm`.
fn source(upstream: &str, version: &str) -> Option<(String, String)> {
    if let Some(file) = upstream.strip_suffix(".src.rpm") {
        let (rest, release) = file.rsplit_once('-')?;
        let (name, number) = rest.rsplit_once('-')?;
        return Some((name.to_owned(), format!("{number}-{release}")));
    }
    let (name, version) = upstream.split_once('@').unwrap_or((upstream, version));
    (!name.is_empty()).then(|| (name.to_owned(), version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn component(ecosystem: &str, name: &str, version: &str) -> Component {
        Component::new(ecosystem.parse::<Ecosystem>().unwrap(), name, version)
    }

    #[test]
    fn components_round_trip() {
        for (component, purl) in [
            (component("Debian:12", "openssl", "3.0.9-1"), "pkg:deb/debian/openssl@3.0.9-1?distro=debian-12"),
            (
                component("Debian:12", "libssl3", "3.0.9-1").from_source("openssl", "3.0.9-1"),
                "pkg:deb/debian/libssl3@3.0.9-1?distro=debian-12&upstream=openssl",
            ),
            (
                component("Debian:12", "libc6", "2.36-9+b1").from_source("glibc", "2.36-9"),
                "pkg:deb/debian/libc6@2.36-9%2Bb1?distro=debian-12&upstream=glibc%402.36-9",
            ),
            (component("Alpine:v3.18", "busybox", "1.36.1-r5"), "pkg:apk/alpine/busybox@1.36.1-r5?distro=alpine-3.18"),
            (component("AlmaLinux:9", "tar", "2:1.34-6.el9"), "pkg:rpm/almalinux/tar@1.34-6.el9?distro=almalinux-9&epoch=2"),
            (component("npm", "@angular/core", "1.0.0"), "pkg:npm/%40angular/core@1.0.0"),
            (component("PyPI", "Jinja2", "2.4"), "pkg:pypi/jinja2@2.4"),
            (component("Maven", "org.a:b", "1"), "pkg:maven/org.a/b@1"),
            (component("Go", "github.com/gorilla/mux", "1.8.0"), "pkg:golang/github.com/gorilla/mux@1.8.0"),
            (component("Arch Linux", "xz", "1:5.6.1-2"), "pkg:alpm/arch/xz@1:5.6.1-2"),
            (component("Debian:12", "g++", "4:12.2.0-3"), "pkg:deb/debian/g%2B%2B@4:12.2.0-3?distro=debian-12"),
        ] {
            assert_eq!(component.purl().as_deref(), Some(purl));
            assert_eq!(Component::from_purl(&purl.parse().unwrap(), None), Some(component));
        }
    }

    #[test]
    fn releases_are_told_as_other_tools_write_them() {
        let os = OsRelease { id: "debian".into(), version: "11".into(), pretty_name: String::new() };
        for (purl, ecosystem) in [
            ("pkg:deb/debian/curl@7?distro=debian-12.5", "Debian:12"),
            ("pkg:deb/debian/curl@7?distro=bookworm", "Debian:12"),
            ("pkg:deb/debian/curl@7", "Debian:11"),
            ("pkg:rpm/centos/bash@4?distro=centos-7.6.1810", "Red Hat:7"),
            ("pkg:rpm/amzn/bash@4?distro=amzn-2", "Amazon Linux:2"),
        ] {
            let component = Component::from_purl(&purl.parse().unwrap(), Some(&os)).unwrap();
            assert_eq!(component.ecosystem.to_string(), ecosystem, "{purl}");
        }
        let rpm =
            Component::from_purl(&"pkg:rpm/redhat/openssl-libs@3.0.7-24.el9?upstream=openssl-3.0.7-24.el9.src.rpm".parse().unwrap(), None);
        assert_eq!(rpm.unwrap().source.unwrap().name, "openssl");
    }

    proptest! {
        /// The short way comes to what the long way comes to.
        #[test]
        fn a_plain_package_url_is_read_the_same(
            kind in prop_oneof!["npm|golang|maven|pypi|cargo|gem|composer|nuget|swift|hex|cran|deb|julia|x", "[a-z]{1,3}"],
            path in "[a-cA@/._%:~+-]{0,9}",
        ) {
            let text = format!("pkg:{kind}/{path}");
            if let Some((family, name, version)) = plain_purl(&text) {
                let component = Component::from_purl(&text.parse().unwrap(), None);
                prop_assert_eq!(component, Some(Component { name: name.into_owned(), ..Component::new(Ecosystem::of(family), "", version) }));
            }
        }
    }

    #[test]
    fn most_package_urls_are_plain() {
        for text in
            ["pkg:npm/a@1", "pkg:npm/@a/b@1.0", "pkg:golang/github.com/A/b@v1", "pkg:maven/g.h/a@1", "pkg:pypi/a_b@1", "pkg:cargo/A@1"]
        {
            assert!(plain_purl(text).is_some(), "{text}");
        }
    }
}
