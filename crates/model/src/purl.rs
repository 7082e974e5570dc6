//! Package URLs (ECMA-427): the field's common name for a component.

use crate::{Component, Family};

impl Component {
    /// The package URL of this component; none where its ecosystem has no purl type.
    #[must_use]
    pub fn purl(&self) -> Option<String> {
        let (kind, namespace) = match &self.ecosystem.family {
            Family::Debian => ("deb", Some("debian")),
            Family::Ubuntu => ("deb", Some("ubuntu")),
            Family::Alpine => ("apk", Some("alpine")),
            Family::Wolfi => ("apk", Some("wolfi")),
            Family::Chainguard => ("apk", Some("chainguard")),
            Family::AlmaLinux => ("rpm", Some("almalinux")),
            Family::RockyLinux => ("rpm", Some("rocky-linux")),
            Family::RedHat => ("rpm", Some("redhat")),
            Family::Amazon => ("rpm", Some("amazon")),
            Family::Oracle => ("rpm", Some("oracle")),
            Family::Suse => ("rpm", Some("suse")),
            Family::Photon => ("rpm", Some("photon")),
            Family::AzureLinux => ("rpm", Some("azurelinux")),
            Family::PyPi => ("pypi", None),
            Family::Npm => ("npm", None),
            Family::CratesIo => ("cargo", None),
            Family::Go => ("golang", None),
            Family::RubyGems => ("gem", None),
            Family::Maven => ("maven", None),
            Family::NuGet => ("nuget", None),
            Family::Packagist => ("composer", None),
            Family::Pub => ("pub", None),
            Family::Hex => ("hex", None),
            Family::Cran => ("cran", None),
            Family::Hackage => ("hackage", None),
            Family::SwiftUrl => ("swift", None),
            Family::ConanCenter => ("conan", None),
            Family::CocoaPods => ("cocoapods", None),
            Family::Conda => ("conda", None),
            Family::Julia => ("julia", None),
            Family::Bitnami => ("bitnami", None),
            _ => return None,
        };
        let mut out = format!("pkg:{kind}/");
        if let Some(namespace) = namespace {
            out.push_str(namespace);
            out.push('/');
        }
        let name = if kind == "maven" { self.name.replace(':', "/") } else { self.name.clone() };
        name.split('/').enumerate().for_each(|(i, segment)| {
            if i > 0 {
                out.push('/');
            }
            percent_encode(segment, &mut out);
        });
        if !self.version.is_empty() {
            out.push('@');
            percent_encode(&self.version, &mut out);
        }
        if let (Some(release), Some(distro)) = (&self.ecosystem.release, namespace) {
            out.push_str(&format!("?distro={distro}-"));
            percent_encode(release.trim_start_matches('v'), &mut out);
        }
        Some(out)
    }
}

fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => out.push(byte as char),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Component, Ecosystem};

    #[test]
    fn purls_are_canonical() {
        for (ecosystem, name, version, purl) in [
            ("Debian:12", "libssl3", "3.0.9-1", "pkg:deb/debian/libssl3@3.0.9-1?distro=debian-12"),
            ("npm", "@angular/core", "1.0.0", "pkg:npm/%40angular/core@1.0.0"),
            ("PyPI", "Jinja2", "2.4", "pkg:pypi/jinja2@2.4"),
            ("Debian:12", "g++", "4:12.2.0-3", "pkg:deb/debian/g%2B%2B@4:12.2.0-3?distro=debian-12"),
        ] {
            assert_eq!(Component::new(ecosystem.parse::<Ecosystem>().unwrap(), name, version).purl().as_deref(), Some(purl));
        }
    }
}
