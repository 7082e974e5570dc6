//! RPM versions: `[epoch:]version[-release]`, compared by `rpmvercmp` (rpm manual, "Version comparison").

use crate::digits;
use std::cmp::Ordering;

pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let (a_epoch, a_version, a_release) = split(digits::trimmed(a));
    let (b_epoch, b_version, b_release) = split(digits::trimmed(b));
    digits::compare(a_epoch, b_epoch).then_with(|| rpmvercmp(a_version, b_version)).then_with(|| match (a_release, b_release) {
        // An entry without a release speaks of the version alone.
        (None, _) | (_, None) => a_release.is_some().cmp(&b_release.is_some()),
        (Some(a), Some(b)) => rpmvercmp(a, b),
    })
}

/// [`rpmvercmp`] over whole strings, as rpm's own vectors ask for it.
pub(crate) fn compare_segments(a: &str, b: &str) -> Ordering {
    rpmvercmp(a.as_bytes(), b.as_bytes())
}

/// Visible characters and no second colon.
pub(crate) fn is_valid(version: &str) -> bool {
    let (_, rest) = version.split_once(':').unwrap_or(("", version));
    !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_graphic() && c != b':')
}

fn split(evr: &str) -> (&[u8], &[u8], Option<&[u8]>) {
    let (epoch, rest) = digits::epoch(evr.as_bytes());
    match rest.iter().rposition(|&c| c == b'-') {
        Some(dash) => (epoch, &rest[..dash], Some(&rest[dash + 1..])),
        None => (epoch, rest, None),
    }
}

/// Compares one part of an EVR: runs of digits and of letters; digits beat letters; `~` sorts before everything, `^` after the
/// end only.
fn rpmvercmp(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let separator = |c: u8| !c.is_ascii_alphanumeric() && c != b'~' && c != b'^';
        a = digits::take_while(a, separator).1;
        b = digits::take_while(b, separator).1;
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), Some(b'^')) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => {
                let numeric = x.is_ascii_digit();
                if numeric != y.is_ascii_digit() {
                    return if numeric { Ordering::Greater } else { Ordering::Less };
                }
                let same_kind = move |c: u8| if numeric { c.is_ascii_digit() } else { c.is_ascii_alphabetic() };
                let (a_run, a_rest) = digits::take_while(a, same_kind);
                let (b_run, b_rest) = digits::take_while(b, same_kind);
                let order = if numeric { digits::compare(a_run, b_run) } else { a_run.cmp(b_run) };
                if order.is_ne() {
                    return order;
                }
                (a, b) = (a_rest, b_rest);
            }
        }
    }
}
