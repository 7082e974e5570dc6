//! Bills of materials as inventories: CycloneDX and SPDX, in what other tools write.
//!
//! What a document names and we cannot place among the ecosystems is kept as a component that nobody judges: an entry that was
//! dropped would be a false clean.

mod cyclonedx;
mod package;
mod spdx;
mod spdx_tag_value;

use crate::ExtractError;
use base64::Engine;
use lestrade_model::{Inventory, Problem};
use package::Packages;
use serde_json::Value;

/// The most entries of one document.
const MAX_ENTRIES: usize = 1_000_000;
/// How many envelopes are opened: an attestation holds a statement, which holds the document.
const MAX_ENVELOPES: usize = 4;

/// Reads a document of any kind that is known.
///
/// # Errors
/// When it is none, or of a kind that is not read.
pub(crate) fn read(content: &[u8]) -> Result<Inventory, ExtractError> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let first = content.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'{') => {
            let document = serde_json::from_slice(content).map_err(|error| ExtractError::json(&error))?;
            json(document, MAX_ENVELOPES)
        }
        Some(b'<') => Err(ExtractError::Unsupported("a bill of materials in XML, which is not read; write it as JSON".into())),
        Some(_) if spdx_tag_value::is_one(content) => {
            let mut packages = Packages::default();
            spdx_tag_value::read(&String::from_utf8_lossy(content), &mut packages)?;
            Ok(packages.finish())
        }
        _ => Err(ExtractError::Malformed("neither CycloneDX nor SPDX".into())),
    }
}

fn json(document: Value, envelopes: usize) -> Result<Inventory, ExtractError> {
    let mut packages = Packages::default();
    if document["bomFormat"] == "CycloneDX" {
        cyclonedx::read(&document, &mut packages)?;
    } else if document["spdxVersion"].is_string() {
        spdx::read(&document, &mut packages)?;
    } else if document["@context"].as_str().is_some_and(|context| context.contains("spdx.org")) {
        return Err(ExtractError::Unsupported("SPDX 3, which is not read; write it as SPDX 2.3".into()));
    } else if let Some(inner) = inner(document)? {
        return match envelopes {
            0 => Err(ExtractError::Malformed("envelopes inside of envelopes".into())),
            more => json(inner, more - 1),
        };
    } else {
        return Err(ExtractError::Malformed("JSON that is neither CycloneDX nor SPDX".into()));
    }
    Ok(packages.finish())
}

/// What an in-toto attestation holds: an envelope (DSSE) its payload, a statement its predicate. Signatures are not looked at:
/// what is read is judged, not believed.
fn inner(mut document: Value) -> Result<Option<Value>, ExtractError> {
    if let Some(payload) = document["payload"].as_str() {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(payload)
            .map_err(|_| ExtractError::Malformed("an attestation whose payload is no base64".into()))?;
        return serde_json::from_slice(&bytes).map(Some).map_err(|error| ExtractError::json(&error));
    }
    let predicate = document["predicate"].take();
    Ok(match predicate {
        // Some tools put the document one level deeper.
        Value::Object(mut fields) if fields.get("Data").is_some_and(Value::is_object) => fields.remove("Data"),
        Value::Object(fields) => Some(Value::Object(fields)),
        _ => None,
    })
}

impl Packages {
    fn finish(self) -> Inventory {
        let Packages { os, found, mut problems, .. } = self;
        if found.is_empty() {
            // A document may well be of something without packages; that nobody could be judged is to be seen.
            problems.push(Problem {
                path: String::new(),
                kind: lestrade_model::ProblemKind::Malformed,
                detail: "the document names no package".into(),
            });
        }
        Inventory::assemble(os, found, problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::ProblemKind;

    fn components(document: &str) -> Vec<String> {
        let inventory = read(document.as_bytes()).unwrap();
        inventory.components.iter().map(|c| format!("{} {} {}", c.ecosystem, c.name, c.version)).collect()
    }

    #[test]
    fn cyclonedx_with_nested_components_and_a_system() {
        let document = r#"{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [
            {"type": "operating-system", "name": "debian", "version": "12.5"},
            {"type": "library", "name": "libssl3", "version": "3.0.9-1", "purl": "pkg:deb/debian/libssl3@3.0.9-1",
             "properties": [{"name": "aquasecurity:trivy:SrcName", "value": "openssl"}, {"name": "aquasecurity:trivy:SrcVersion", "value": "3.0.9"},
                            {"name": "aquasecurity:trivy:SrcRelease", "value": "1"}],
             "components": [{"type": "library", "name": "left-pad", "version": "1.3.0", "purl": "pkg:npm/left-pad@1.3.0"}]}]}"#;
        assert_eq!(components(document), ["Debian:12 libssl3 3.0.9-1", "npm left-pad 1.3.0"]);
        let inventory = read(document.as_bytes()).unwrap();
        assert_eq!((inventory.components[0].advised_name(), inventory.components[0].advised_version()), ("openssl", "3.0.9-1"));
        assert_eq!(inventory.problems, []);
    }

    #[test]
    fn spdx_in_both_spellings() {
        let json = r#"{"spdxVersion": "SPDX-2.3", "packages": [
            {"SPDXID": "SPDXRef-OperatingSystem-1", "name": "alpine", "versionInfo": "3.18.4"},
            {"SPDXID": "SPDXRef-1", "name": "busybox", "versionInfo": "1.36.1-r5", "externalRefs": [
              {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:apk/alpine/busybox@1.36.1-r5"}]}]}"#;
        let tags = "SPDXVersion: SPDX-2.3\n\nPackageName: alpine\nSPDXID: SPDXRef-OperatingSystem-1\nPackageVersion: 3.18.4\n\n\
            PackageName: busybox\nSPDXID: SPDXRef-1\nPackageVersion: 1.36.1-r5\nPackageComment: <text>several\nPackageName: no\n</text>\n\
            ExternalRef: PACKAGE-MANAGER purl pkg:apk/alpine/busybox@1.36.1-r5\n";
        for document in [json, tags] {
            assert_eq!(components(document), ["Alpine:v3.18 busybox 1.36.1-r5"]);
        }
    }

    #[test]
    fn an_attestation_is_opened() {
        let statement = r#"{"_type": "https://in-toto.io/Statement/v1", "predicate": {"bomFormat": "CycloneDX", "specVersion": "1.4",
            "components": [{"type": "library", "name": "a", "version": "1", "purl": "pkg:npm/a@1"}]}}"#;
        let payload = base64::engine::general_purpose::STANDARD.encode(statement);
        assert_eq!(components(statement), ["npm a 1"]);
        assert_eq!(components(&format!(r#"{{"payloadType": "application/vnd.in-toto+json", "payload": "{payload}"}}"#)), ["npm a 1"]);
    }

    #[test]
    fn what_cannot_be_placed_is_listed_and_not_dropped() {
        let document = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [
            {"type": "library", "name": "mystery", "version": "1"}, {"type": "library", "name": "odd", "purl": "no purl"},
            {"type": "library", "name": "b", "version": "2", "purl": "pkg:cpan/b@2"}, {"type": "file", "name": "/etc/passwd"}]}"#;
        let inventory = read(document.as_bytes()).unwrap();
        let names: Vec<_> = inventory.components.iter().map(|c| c.name.as_str()).collect();
        assert_eq!((names, inventory.problems.len()), (vec!["b", "mystery", "odd"], 1));
    }

    #[test]
    fn what_is_no_document_says_what_it_is() {
        for (bytes, kind) in [
            ("{}", ProblemKind::Malformed),
            ("{\"bomFormat\": \"CycloneDX\"", ProblemKind::Truncated),
            ("<bom/>", ProblemKind::Unsupported),
            ("hello", ProblemKind::Malformed),
            ("", ProblemKind::Malformed),
            (r#"{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}"#, ProblemKind::Unsupported),
            (r#"{"bomFormat": "CycloneDX", "specVersion": "9.9"}"#, ProblemKind::Unsupported),
        ] {
            assert_eq!(read(bytes.as_bytes()).unwrap_err().kind(), kind, "{bytes}");
        }
        let deep = format!(r#"{{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": {}{}}}"#, "[".repeat(500), "]".repeat(500));
        assert!(read(deep.as_bytes()).is_err());
        let empty = read(br#"{"bomFormat": "CycloneDX", "specVersion": "1.6"}"#).unwrap();
        assert_eq!(empty.problems.len(), 1, "nothing in it is said");
    }
}
