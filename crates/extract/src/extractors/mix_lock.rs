//! Elixir's `mix.lock`: one term of the language, a map from a package's name to what was locked.
//!
//! ```text
//! %{
//!   "jason": {:hex, :jason, "1.3.0", "checksum", [:mix], [], "hexpm", "checksum"},
//!   "mine": {:git, "https://example.com/mine.git", "revision", []},
//! }
//! ```

use super::documents::{nameless, package};
use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};
use lestrade_model::{Family, Manager};

pub(super) struct MixLock;

impl Extractor for MixLock {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "mix-lock", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["**/mix.lock"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let text = file.text();
        let body = text.trim_start().strip_prefix("%{").ok_or_else(|| ExtractError::Malformed("it is no map".into()))?;
        let mut depth = 1_u32;
        // The tokens of the tuple that is open right in the map.
        let mut tuple: Vec<&str> = Vec::new();
        for token in tokens(body) {
            match token {
                "{" | "[" | "%{" => depth = depth.saturating_add(1),
                "}" | "]" => {
                    depth = depth.saturating_sub(1);
                    if depth == 1 {
                        locked(&tuple, out);
                        tuple.clear();
                    }
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ if depth == 2 => tuple.push(token),
                _ => {}
            }
        }
        Err(ExtractError::Truncated("the map is not closed".into()))
    }
}

/// The tuples of other sources than Hex have no version.
fn locked(tuple: &[&str], out: &mut dyn InventorySink) {
    match tuple {
        [":hex", name, version, ..] => match (atom(name), version.strip_prefix('"')) {
            (Some(name), Some(version)) => out.found(package(Family::Hex, Manager::Mix, name, version)),
            _ => nameless(out),
        },
        [":git" | ":path", ..] => {}
        _ => nameless(out),
    }
}

/// `:name` or `:"na-me"`.
fn atom(token: &str) -> Option<&str> {
    token.strip_prefix(':').map(|name| name.trim_matches('"'))
}

/// Brackets, atoms, and strings with their opening quote only; the rest is of no interest.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        let first = rest.chars().next()?;
        let length = match first {
            '"' => {
                let end = rest[1..].find('"').map_or(rest.len(), |end| end + 1);
                let token = &rest[..end];
                rest = rest.get(end + 1..).unwrap_or_default();
                return Some(token);
            }
            '{' | '}' | '[' | ']' => 1,
            '%' if rest[1..].starts_with('{') => 2,
            ':' if rest[1..].starts_with('"') => rest[2..].find('"').map_or(rest.len(), |end| end + 3),
            _ => {
                let end = rest[first.len_utf8()..].find(|c: char| c.is_whitespace() || ",{}[]\"".contains(c));
                end.map_or(rest.len(), |end| end + first.len_utf8())
            }
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        Some(token)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};
    use lestrade_model::ProblemKind;

    #[test]
    fn packages_of_hex_only() {
        let lock = "%{\n  \"credo\": {:hex, :credo, \"1.6.6\", \"f5\", [:mix], [{:bunt, \"~> 0.2.0\", [hex: :bunt, repo: \"hexpm\"]}], \"hexpm\", \"62\"},\n  \
                    \"esaml\": {:git, \"https://example.com/esaml.git\", \"42\", []},\n  \"odd\": {:hex, :\"o-d\", \"1.0.0\"},\n}\n";
        assert_eq!(packages("mix.lock", lock), ["credo 1.6.6", "o-d 1.0.0"]);
        assert_eq!(read("mix.lock", lock).problems, []);
    }

    #[test]
    fn what_is_cut_is_said() {
        assert_eq!(read("mix.lock", "%{ \"a\": {:hex, :a, \"1.0").problems[0].0, ProblemKind::Truncated);
        assert_eq!(read("mix.lock", "x").problems[0].0, ProblemKind::Malformed);
        assert_eq!(read("mix.lock", "%{:é\"").problems[0].0, ProblemKind::Truncated);
    }
}
