//! How an image in a registry is named: `host[:port]/repository[:tag][@digest]`.

use crate::ArtifactError;
use std::fmt;
use std::str::FromStr;

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageReference {
    /// Host, and port if any.
    pub registry: String,
    /// Repository.
    pub repository: String,
    /// A tag or a digest.
    pub version: String,
}

impl FromStr for ImageReference {
    type Err = ArtifactError;

    /// Names without a host are of the Docker Hub, as its users expect; a missing tag is `latest`.
    fn from_str(text: &str) -> Result<Self, ArtifactError> {
        // What stands before an `@` that begins no digest may be a user with a password: it is not repeated.
        let refuse = || {
            let shown = match text.rsplit_once('@') {
                Some((_, host)) if !host.starts_with("sha") => format!("…@{host}"),
                _ => text.to_owned(),
            };
            ArtifactError::BadReference(shown.chars().take(256).collect())
        };
        let (first, rest) = text.split_once('/').unwrap_or(("", text));
        let is_host = first.contains(['.', ':']) || first == "localhost";
        let (registry, rest) = if is_host { (first, rest) } else { ("registry-1.docker.io", text) };
        let (name, version) = match rest.split_once('@') {
            // With both, the digest is what counts.
            Some((name, digest)) => (name.split(':').next().unwrap_or_default(), digest),
            None => rest.rsplit_once(':').unwrap_or((rest, "latest")),
        };
        let repository = if !is_host && !name.contains('/') { format!("library/{name}") } else { name.to_owned() };
        let word =
            |s: &str, extra: &str| !s.is_empty() && s.len() <= 255 && s.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c));
        let sound = word(registry, ".:-[]")
            && word(&repository, "._-/")
            && word(version, "._-:")
            && !repository.split('/').any(|part| part.is_empty() || part == "..");
        sound.then(|| Self { registry: registry.to_owned(), repository, version: version.to_owned() }).ok_or_else(refuse)
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.version.contains(':') { '@' } else { ':' };
        write!(f, "{}/{}{separator}{}", self.registry, self.repository, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        for (text, expected) in [
            ("debian:12", "registry-1.docker.io/library/debian:12"),
            ("team/app", "registry-1.docker.io/team/app:latest"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1"),
            ("ghcr.io/a/b@sha256:abc", "ghcr.io/a/b@sha256:abc"),
            ("ghcr.io/a/b:v1@sha256:abc", "ghcr.io/a/b@sha256:abc"),
        ] {
            assert_eq!(text.parse::<ImageReference>().unwrap().to_string(), expected);
        }
        for text in ["me:hunter2@a.b/c:v1", "https://me:hunter2@a.b/c"] {
            let error = text.parse::<ImageReference>().unwrap_err().to_string();
            assert!(error.contains("a.b/c") && !error.contains("hunter2"), "{error}");
        }
        for text in ["", "a.b/", "a.b/../c", "a.b/c d", "a.b/c:v 1"] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }
}
