//! Bills of materials as inventories: CycloneDX and SPDX, in what other tools write.
//!
//! What a document names and we cannot place among the ecosystems is kept as a component that nobody judges: an entry that was
//! dropped would be a false clean. A document is read as a stream, and what is found is said as it is found: one of a million packages
//! is never held, neither as text nor as a tree. Which members there are first is nobody's to choose, so that what may be packages is
//! said before it is known what the document is.

mod cyclonedx;
mod json;
mod message;
mod package;
mod spdx;
mod spdx_tag_value;

use crate::ExtractError;
use base64::Engine;
use json::{Json, Object, Text};
pub(crate) use message::Assembling;
use message::{CYCLONEDX, Message, SPDX, Whole};
use package::Packages;
use std::io::{self, Read, Write};

/// The most entries of one document.
const MAX_ENTRIES: usize = 1_000_000;
/// How many envelopes are opened: an attestation holds a statement, which holds the document.
const MAX_ENVELOPES: usize = 4;
/// How many bytes of records are held before they are said.
const HELD: usize = 256 << 10;

/// Reads a document of any kind that is known and of at most `limit` bytes, and says to `out` what [`Assembling`] hears.
///
/// # Errors
/// When nobody listens. What is wrong with the document is said.
pub(crate) fn answer(input: impl Read, limit: u64, out: &mut dyn Write) -> io::Result<()> {
    let whole = read(input, limit, &mut |message, records| message.write(records, out));
    Message::End(whole.map_err(|error| error.to_string())).write(&[], out)
}

type Say<'a> = &'a mut dyn FnMut(&Message, &[u8]) -> io::Result<()>;

fn read(input: impl Read, limit: u64, say: Say<'_>) -> Result<Whole, ExtractError> {
    let mut json = Json::new(input, limit);
    json.pass(b"\xef\xbb\xbf")?;
    let mut reading = Reading { lists: Default::default(), say };
    match json.peek()? {
        Some(b'{') => reading.document(&mut json, MAX_ENVELOPES),
        Some(b'<') => Err(ExtractError::Unsupported("a bill of materials in XML, which is not read; write it as JSON".into())),
        Some(_) => {
            let content = json.rest()?;
            if !spdx_tag_value::is_one(&content) {
                return Err(ExtractError::Malformed("neither CycloneDX nor SPDX".into()));
            }
            spdx_tag_value::read(&String::from_utf8_lossy(&content), &mut reading.lists[SPDX])?;
            reading.finish(SPDX)
        }
        None => Err(ExtractError::Malformed("neither CycloneDX nor SPDX".into())),
    }
}

/// What a document says of what it is.
#[derive(Default)]
struct Head {
    format: Option<String>,
    version: Option<String>,
    spdx_version: Option<String>,
    context: Option<String>,
    payload: Option<String>,
    predicate: Option<Vec<u8>>,
    data: Option<Vec<u8>>,
}

/// A document that is being read.
struct Reading<'s> {
    lists: [Packages; 2],
    say: Say<'s>,
}

impl Reading<'_> {
    fn document(&mut self, json: &mut Json<impl Read>, envelopes: usize) -> Result<Whole, ExtractError> {
        let mut head = Head::default();
        json.begin()?;
        let mut first = true;
        while let Some(key) = json.key(first)? {
            first = false;
            let mut text = || json.value(|value| value.parse::<Text<'_>>().map(|text| text.0.map(std::borrow::Cow::into_owned)));
            match key.as_str() {
                "bomFormat" => head.format = text()?,
                "specVersion" => head.version = text()?,
                "spdxVersion" => head.spdx_version = text()?,
                "@context" => head.context = text()?,
                "payload" => {
                    head.payload = json.envelope(|value| value.parse::<Text<'_>>().map(|text| text.0.map(std::borrow::Cow::into_owned)))?;
                }
                "predicate" => head.predicate = json.envelope(|value| value.object())?,
                "Data" => head.data = json.envelope(|value| value.object())?,
                "metadata" => {
                    let list = &mut self.lists[CYCLONEDX];
                    json.value(|value| value.parse::<Object<_>>().map(|metadata| cyclonedx::metadata(&metadata.0, list)))?;
                }
                // Of a member that is there twice both count: what is passed over could be what matters.
                "components" => {
                    let Self { lists, say } = self;
                    json.each(|value| {
                        value.parse::<Object<_>>().map(|component| cyclonedx::component(&component.0, &mut lists[CYCLONEDX]))?;
                        Ok(lists[CYCLONEDX].say(CYCLONEDX, HELD, say)?)
                    })?;
                }
                "packages" => {
                    let Self { lists, say } = self;
                    json.each(|value| {
                        value.parse::<Object<_>>().map(|package| spdx::package(&package.0, &mut lists[SPDX]))?;
                        Ok(lists[SPDX].say(SPDX, HELD, say)?)
                    })?;
                }
                "compositions" => {
                    let list = &mut self.lists[CYCLONEDX];
                    json.each(|value| value.parse::<Object<_>>().map(|composition| cyclonedx::composition(&composition.0, list)))?;
                }
                _ => json.skip()?,
            }
        }
        json.end()?;
        if head.format.as_deref() == Some("CycloneDX") {
            cyclonedx::check_version(&head.version.unwrap_or_default())?;
            return self.finish(CYCLONEDX);
        }
        if let Some(version) = head.spdx_version {
            spdx::check_version(&version)?;
            return self.finish(SPDX);
        }
        if head.context.is_some_and(|context| context.contains("spdx.org")) {
            return Err(ExtractError::Unsupported("SPDX 3, which is not read; write it as SPDX 2.3".into()));
        }
        // What an in-toto attestation holds: an envelope (DSSE) its payload, a statement its predicate. Signatures are not looked at:
        // what is read is judged, not believed. Some tools put the document one level deeper.
        let deeper = head.data.filter(|_| envelopes < MAX_ENVELOPES);
        let inner = match head.payload {
            Some(payload) => Some(
                base64::engine::general_purpose::STANDARD
                    .decode(payload)
                    .map_err(|_| ExtractError::Malformed("an attestation whose payload is no base64".into()))?,
            ),
            None => head.predicate.or(deeper),
        };
        match (inner, envelopes) {
            (None, _) => Err(ExtractError::Malformed("JSON that is neither CycloneDX nor SPDX".into())),
            (Some(_), 0) => Err(ExtractError::Malformed("envelopes inside of envelopes".into())),
            (Some(inner), more) => {
                // What the envelope itself may have had is no part of what is in it.
                for list in [CYCLONEDX, SPDX] {
                    self.lists[list] = Packages::default();
                    (self.say)(&Message::Clear { list: list as u8 }, &[]).map_err(|error| unheard(&error))?;
                }
                let limit = inner.len() as u64;
                self.document(&mut Json::new(inner.as_slice(), limit), more - 1)
            }
        }
    }

    /// Says what is left to be said of the list that counts.
    fn finish(&mut self, list: usize) -> Result<Whole, ExtractError> {
        let packages = &mut self.lists[list];
        packages.say(list, 0, &mut self.say).map_err(|error| unheard(&error))?;
        let ecosystems = packages.settle();
        if !ecosystems.is_empty() {
            (self.say)(&Message::Replace { list: list as u8, ecosystems }, &[]).map_err(|error| unheard(&error))?;
        }
        let packages = std::mem::take(packages);
        Ok(Whole { list: list as u8, os: packages.os, problems: packages.problems })
    }
}

/// That nobody listens any more: nobody will hear this either.
fn unheard(error: &io::Error) -> ExtractError {
    ExtractError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lestrade_model::{Inventory, ProblemKind};

    fn read(content: &[u8]) -> Result<Inventory, ExtractError> {
        let mut said = Vec::new();
        let whole = super::read(content, 1 << 30, &mut |message, records| message.write(records, &mut said))?;
        Message::End(Ok(whole)).write(&[], &mut said).unwrap();
        let mut assembling = Assembling::default();
        said.chunks(7).for_each(|bytes| assembling.take(bytes).unwrap());
        Ok(assembling.finish().unwrap().unwrap().unpack())
    }

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
