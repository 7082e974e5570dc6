//! Numbers of any length, compared without being parsed into a machine word.

use std::cmp::Ordering;

/// Compares two strings of ASCII digits by value; the empty string is zero.
pub(crate) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |s: &[u8]| s.iter().position(|&c| c != b'0').unwrap_or(s.len());
    let (a, b) = (&a[significant(a)..], &b[significant(b)..]);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// Splits off the longest prefix whose bytes satisfy `wanted`.
pub(crate) fn take_while(s: &[u8], wanted: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    s.split_at(s.iter().position(|&c| !wanted(c)).unwrap_or(s.len()))
}

/// Compares two versions that are nothing but numbers with dots between them, by value, where a missing number is zero; none when
/// either is more than that. Most versions are of this kind, and most schemes agree about them.
pub(crate) fn dotted(a: &str, b: &str) -> Option<Ordering> {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let mut order = Ordering::Equal;
    while !a.is_empty() || !b.is_empty() {
        let (of_a, of_b) = (number(&mut a)?, number(&mut b)?);
        order = order.then_with(|| of_a.compare(&of_b));
    }
    Some(order)
}

/// A number of a version.
struct Number<'a> {
    digits: &'a [u8],
    /// Its value, where so many digits fit into it.
    value: u64,
}

/// So many digits fit into 64 bits, whatever they are.
const FIT: usize = 19;

impl Number<'_> {
    fn compare(&self, other: &Self) -> Ordering {
        if self.digits.len() <= FIT && other.digits.len() <= FIT {
            self.value.cmp(&other.value)
        } else {
            compare(self.digits, other.digits)
        }
    }
}

/// Takes the next number and the dot behind it; zero when nothing is left, none when there is something else.
fn number<'a>(rest: &mut &'a [u8]) -> Option<Number<'a>> {
    if rest.is_empty() {
        return Some(Number { digits: b"", value: 0 });
    }
    let (mut length, mut value) = (0, 0_u64);
    while let Some(digit) = rest.get(length).map(|c| c.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        length += 1;
    }
    let (digits, after) = rest.split_at(length);
    *rest = match after {
        [] => after,
        [b'.', after @ ..] if !after.is_empty() => after,
        _ => return None,
    };
    (length > 0).then_some(Number { digits, value })
}

/// Splits off an epoch: digits, perhaps none, before a colon. What stands before a colon and is no number is none.
pub(crate) fn epoch(version: &[u8]) -> (&[u8], &[u8]) {
    match take_while(version, |c| c.is_ascii_digit()) {
        (epoch, [b':', rest @ ..]) => (epoch, rest),
        _ => (b"", version),
    }
}

/// A version without the blanks around it: most have none, and asking is faster than looking for them.
pub(crate) fn trimmed(version: &str) -> &str {
    match version.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => version,
        _ => version.trim(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_numbers_are_compared_by_value_and_nothing_else_is() {
        for (a, b, order) in [
            ("1", "1.0.0", Some(Ordering::Equal)),
            ("1.2", "1.10", Some(Ordering::Less)),
            ("2", "1.99999999999999999999999", Some(Ordering::Greater)),
            ("18446744073709551617", "1", Some(Ordering::Greater)),
            ("9999999999999999999", "09999999999999999998", Some(Ordering::Greater)),
            ("0000000000000000000000001", "1", Some(Ordering::Equal)),
            ("1.2.0.1", "1.2", Some(Ordering::Greater)),
            ("01.2", "1.2", Some(Ordering::Equal)),
            ("1..2", "1", None),
            ("1.", "1", None),
            (".1", "1", None),
            ("2", "1-rc", None),
            ("1.0a", "2", None),
            ("v1", "1", None),
            ("1", "", Some(Ordering::Greater)),
        ] {
            assert_eq!(dotted(a, b), order, "{a} {b}");
            assert_eq!(dotted(b, a), order.map(Ordering::reverse), "{b} {a}");
        }
    }
}
