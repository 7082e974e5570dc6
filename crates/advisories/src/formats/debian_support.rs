//! Debian's list of packages whose security support ended before their release's did (`security-support-ended.deb12` of the package
//! `debian-security-support`): a source package on each line, the last version that was looked after, the day and a reason.
//!
//! No advisory of such a package comes any more, so that silence about it is no safety. That is a finding of its own, as the end of a
//! whole system is.

use super::{Brought, Format, Parsed, cut};
use lestrade_model::{Advisory, Affected, Ecosystem, Family, FixState, Timestamp};

const FEED: &str = "debian-support";
/// What the names of its files begin with; the number of the release follows.
pub(crate) const NAME: &str = "security-support-ended.deb";

pub(super) struct DebianSupport;

impl Format for DebianSupport {
    fn recognises(&self, name: &str, document: &Parsed<'_>) -> bool {
        release(name).is_some() && matches!(document, Parsed::Text(_))
    }

    fn read(&self, name: &str, document: Parsed<'_>) -> Brought {
        let (Parsed::Text(text), Some(release)) = (document, release(name)) else { return Brought::default() };
        let mut brought = Brought::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match advisory(line, release) {
                Some(advisory) => brought.advisories.push(advisory),
                None => brought.quarantined.push((name.to_owned(), "a line without a package and the day of its end".to_owned())),
            }
        }
        brought
    }
}

fn advisory(line: &str, release: &str) -> Option<Advisory> {
    let mut columns = line.split_whitespace();
    let (package, _, day) = (columns.next()?, columns.next()?, columns.next()?);
    let reason = columns.collect::<Vec<_>>().join(" ");
    let is_name = package.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-".contains(&b));
    let ended = Timestamp::parse(&format!("{day}T00:00:00Z")).ok().filter(|_| is_name)?;
    Some(Advisory {
        summary: format!("Debian looks after {package} no more since {day}"),
        details: cut(&reason),
        published: Some(ended),
        affected: vec![Affected::always(Ecosystem::release(Family::Debian, release), package, FixState::EndOfLife)],
        ..Advisory::new(FEED, &format!("end-of-support/debian {release}/{package}"))
    })
}

/// `12` of `security-support-ended.deb12`.
fn release(name: &str) -> Option<&str> {
    let number = name.rsplit(['/', '!']).next()?.strip_prefix(NAME)?;
    (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(number)
}

#[cfg(test)]
mod tests {
    use crate::documents::Syntax;
    use crate::formats::read;

    #[test]
    fn a_line_is_a_package_whose_support_ended() {
        let text =
            "# source, last version, day, reason\n\nchromium  1.0-1~deb12u1  2026-02-01  https://lists.debian.org/x and more\nbroken\n";
        let brought = read("x/security-support-ended.deb12", Syntax::Text, text);
        let [chromium] = brought.advisories.as_slice() else { panic!("{:?}", brought.advisories) };
        assert_eq!((chromium.key.id.as_str(), brought.quarantined.len()), ("end-of-support/debian 12/chromium", 1));
        assert_eq!(
            (chromium.affected[0].ecosystem.to_string().as_str(), chromium.details.as_str()),
            ("Debian:12", "https://lists.debian.org/x and more")
        );
        assert!(read("security-support-ended.debian", Syntax::Text, text).is_unknown);
    }
}
