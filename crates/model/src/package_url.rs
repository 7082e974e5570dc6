//! Package URLs as a syntax (ECMA-427): seven parts, each with its own escaping and, by type, its own spelling.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The longest package URL that is read.
const MAX_LENGTH: usize = 8192;

/// A package URL, taken apart. Every part is decoded and in the spelling that its type asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageUrl {
    /// `deb`, `npm`: lower case.
    pub kind: String,
    /// What stands before the name, `/`-separated.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The version.
    pub version: Option<String>,
    /// Qualifiers by their lower-case keys; none has an empty value.
    pub qualifiers: BTreeMap<String, String>,
    /// A path inside the package.
    pub subpath: Option<String>,
}

/// A text that is no package URL.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a package URL: {0}")]
pub struct PackageUrlError(&'static str);

/// What a type asks of its namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Namespace {
    Any,
    Required,
    Prohibited,
}

/// Parts that a type spells in lower case.
const NAMESPACE: u8 = 1;
const NAME: u8 = 2;
const VERSION: u8 = 4;

/// Types that differ from "as it is": what they ask of the namespace, and what is lower case.
const TYPES: &[(&str, Namespace, u8)] = &[
    ("alpm", Namespace::Any, NAMESPACE | NAME),
    ("apk", Namespace::Any, NAMESPACE | NAME),
    ("bazel", Namespace::Prohibited, 0),
    ("bitbucket", Namespace::Any, NAMESPACE | NAME),
    ("bitnami", Namespace::Prohibited, NAME),
    ("brew", Namespace::Any, NAMESPACE | NAME),
    ("cargo", Namespace::Prohibited, 0),
    ("chrome-extension", Namespace::Prohibited, 0),
    ("composer", Namespace::Any, NAMESPACE | NAME),
    ("cran", Namespace::Prohibited, 0),
    ("deb", Namespace::Any, NAMESPACE | NAME),
    ("gem", Namespace::Any, 0),
    ("github", Namespace::Any, NAMESPACE | NAME),
    ("hackage", Namespace::Prohibited, 0),
    ("hex", Namespace::Any, NAMESPACE | NAME),
    ("huggingface", Namespace::Any, VERSION),
    ("julia", Namespace::Prohibited, 0),
    ("luarocks", Namespace::Any, NAMESPACE | NAME),
    ("nuget", Namespace::Prohibited, 0),
    ("oci", Namespace::Prohibited, NAME),
    ("opam", Namespace::Prohibited, 0),
    ("otp", Namespace::Prohibited, 0),
    ("pub", Namespace::Prohibited, NAME),
    ("pypi", Namespace::Prohibited, NAME),
    ("qpkg", Namespace::Any, NAMESPACE),
    ("rpm", Namespace::Any, NAMESPACE),
    ("swift", Namespace::Required, 0),
    ("vcpkg", Namespace::Prohibited, NAME),
    ("vscode-extension", Namespace::Required, NAMESPACE | NAME),
];

impl PackageUrl {
    /// The longest one that is read.
    pub(crate) const LONGEST: usize = MAX_LENGTH;

    /// A package URL from its parts, in the spelling of its type.
    ///
    /// # Errors
    /// When a part is missing or is not what the type asks for.
    pub fn new(kind: &str, namespace: Option<&str>, name: &str, version: Option<&str>) -> Result<Self, PackageUrlError> {
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
        if !kind.starts_with(|c: char| c.is_ascii_alphabetic()) || !plain(kind) {
            return Err(PackageUrlError("the type is letters, digits, '.' and '-', a letter first"));
        }
        let kind = kind.to_ascii_lowercase();
        let (asked, lower) =
            TYPES.iter().find(|(known, ..)| *known == kind).map_or((Namespace::Any, 0), |(_, asked, lower)| (*asked, *lower));
        let spelt = |part: u8, text: &str| if lower & part != 0 { text.to_lowercase() } else { text.to_owned() };
        let segments: Vec<&str> = namespace.into_iter().flat_map(|text| text.split('/')).filter(|segment| !segment.is_empty()).collect();
        let namespace = (!segments.is_empty()).then(|| spelt(NAMESPACE, &segments.join("/")));
        match (asked, &namespace) {
            (Namespace::Required, None) => return Err(PackageUrlError("its type asks for a namespace")),
            (Namespace::Prohibited, Some(_)) => return Err(PackageUrlError("its type has no namespace")),
            _ => {}
        }
        if name.is_empty() {
            return Err(PackageUrlError("there is no name"));
        }
        let mut name = spelt(NAME, name);
        if kind == "pypi" {
            name = name.replace('_', "-");
        }
        let version = version.filter(|version| !version.is_empty()).map(|version| spelt(VERSION, version));
        let this = Self { kind, namespace, name, version, qualifiers: BTreeMap::new(), subpath: None };
        this.checked()
    }

    /// The same with a qualifier; an empty value is none.
    ///
    /// # Errors
    /// When the key is not letters, digits, `.`, `-` and `_` with a small letter first (as the specification's
    /// suite has it).
    pub fn with(mut self, key: &str, value: &str) -> Result<Self, PackageUrlError> {
        let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        if !key.starts_with(|c: char| c.is_ascii_lowercase()) || !plain {
            return Err(PackageUrlError("a qualifier's key is letters, digits, '.', '-' and '_', a small letter first"));
        }
        if !value.is_empty() {
            self.qualifiers.insert(key.to_ascii_lowercase(), value.to_owned());
        }
        Ok(self)
    }

    /// What a few types ask beyond case and namespace.
    fn checked(self) -> Result<Self, PackageUrlError> {
        let number = |text: &str| text.split('.').count() <= 4 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let wrong = match self.kind.as_str() {
            "cpan" => self.name.contains("::"),
            "chrome-extension" => {
                self.name.len() != 32
                    || !self.name.bytes().all(|b| (b'a'..=b'p').contains(&b))
                    || !self.version.as_deref().is_none_or(number)
            }
            _ => false,
        };
        if wrong { Err(PackageUrlError("its type asks for another name or version")) } else { Ok(self) }
    }

    /// What a few types ask of their qualifiers.
    fn with_its_own(mut self) -> Result<Self, PackageUrlError> {
        let repository = self.qualifiers.get("repository_url");
        if self.kind == "mlflow" && repository.is_some_and(|url| url.contains("databricks")) {
            self.name = self.name.to_lowercase();
        }
        if self.kind == "julia" && !self.qualifiers.contains_key("uuid") {
            return Err(PackageUrlError("its type asks for the qualifier uuid"));
        }
        Ok(self)
    }
}

impl FromStr for PackageUrl {
    type Err = PackageUrlError;

    fn from_str(text: &str) -> Result<Self, PackageUrlError> {
        if text.len() > MAX_LENGTH {
            return Err(PackageUrlError("it is too long"));
        }
        let scheme = text.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("pkg:"));
        let rest = scheme.map(|_| &text[4..]).ok_or(PackageUrlError("it does not begin with 'pkg:'"))?;
        let (rest, subpath) = rest.split_once('#').map_or((rest, None), |(rest, subpath)| (rest, Some(subpath)));
        let (rest, qualifiers) = rest.split_once('?').map_or((rest, ""), |(rest, qualifiers)| (rest, qualifiers));
        let (kind, rest) = rest.trim_start_matches('/').split_once('/').ok_or(PackageUrlError("there is no type or no name"))?;
        let rest = rest.trim_matches('/');
        // A scoped npm name may be written with its `@`; a version's `@` comes after the last slash.
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let at = rest[last..].rfind('@').map(|at| last + at);
        let (path, version) = at.map_or((rest, None), |at| (&rest[..at], Some(decode(&rest[at + 1..]))));
        // A repository's name is a path below its host.
        let split = if kind.eq_ignore_ascii_case("git") { path.split_once('/') } else { path.rsplit_once('/') };
        let (namespace, name) = split.map_or((None, path), |(namespace, name)| (Some(namespace), name));
        let namespace = namespace.map(|text| text.split('/').map(decode).collect::<Vec<_>>().join("/"));
        let mut this = Self::new(kind, namespace.as_deref(), &decode(name), version.as_deref())?;
        for (key, value) in qualifiers.split('&').filter_map(|pair| pair.split_once('=')) {
            this = this.with(key, &decode(value))?;
        }
        let segments = subpath.unwrap_or_default().split('/').map(decode).filter(|part| !matches!(part.as_str(), "" | "." | ".."));
        let subpath = segments.collect::<Vec<_>>().join("/");
        this.subpath = (!subpath.is_empty()).then_some(subpath);
        this.with_its_own()
    }
}

impl fmt::Display for PackageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pkg:{}/", self.kind)?;
        for segment in self.namespace.iter().flat_map(|namespace| namespace.split('/')) {
            write!(f, "{}/", encode(segment))?;
        }
        f.write_str(&self.name.split('/').map(encode).collect::<Vec<_>>().join(if self.kind == "git" { "/" } else { "%2F" }))?;
        if let Some(version) = &self.version {
            write!(f, "@{}", encode(version))?;
        }
        for (number, (key, value)) in self.qualifiers.iter().enumerate() {
            write!(f, "{}{key}={}", if number == 0 { '?' } else { '&' }, encode(value))?;
        }
        for (number, segment) in self.subpath.iter().flat_map(|subpath| subpath.split('/')).enumerate() {
            write!(f, "{}{}", if number == 0 { '#' } else { '/' }, encode(segment))?;
        }
        Ok(())
    }
}

/// Percent-decoding; what is no valid escape stays as it is, bytes that are no UTF-8 become replacement characters.
fn decode(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                at += 3;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encoding of everything but letters, digits, `.`, `-`, `_`, `~` and `:`.
fn encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => out.push(byte as char),
            other => out.push_str(&format!("%{other:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same() {
        for text in [
            "pkg:deb/debian/g%2B%2B@4:12.2.0-3?arch=amd64&distro=debian-12",
            "pkg:npm/%40angular/core@1.0.0",
            "pkg:golang/github.com/gorilla/mux@v1.8.0#sub/path",
        ] {
            assert_eq!(text.parse::<PackageUrl>().unwrap().to_string(), text);
        }
        let loose: PackageUrl = "pkg:npm/@angular/core@1.0.0".parse().unwrap();
        assert_eq!(loose.to_string(), "pkg:npm/%40angular/core@1.0.0");
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "pkg:", "pkg:npm", "pkg:npm/", "npm/x@1", "pkg:npm/%", "pkg:3a/x", &format!("pkg:npm/{}", "x".repeat(9000))] {
            assert!(text.parse::<PackageUrl>().is_err() || text.ends_with('%'), "{text}");
        }
    }
}
