//! Wildcards: `*` stands for any text, `\*` and `\\` for themselves.

/// The most stars that one text may keep open at a time. EventBridge refuses patterns that are costlier.
const MAX_OPEN: usize = 5;

/// A parsed wildcard: literal texts with stars between them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Wildcard {
    /// Texts between stars; the first and the last may be empty.
    parts: Vec<String>,
}

impl Wildcard {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = vec![String::new()];
        let mut chars = text.chars().enumerate();
        let mut after_star = false;
        while let Some((at, c)) = chars.next() {
            match c {
                '*' if after_star => return Err(format!("consecutive wildcard characters at position {at}")),
                '*' => parts.push(String::new()),
                '\\' => match chars.next() {
                    Some((_, c @ ('*' | '\\'))) => parts.last_mut().into_iter().for_each(|part| part.push(c)),
                    _ => return Err(format!("an escape of what needs none at position {at}")),
                },
                c => parts.last_mut().into_iter().for_each(|part| part.push(c)),
            }
            after_star = c == '*';
        }
        let wildcard = Self { parts };
        if wildcard.open_stars() > MAX_OPEN {
            return Err("it is too complex: use fewer wildcards, or fewer repetitions after one".into());
        }
        Ok(wildcard)
    }

    /// How many stars can be open at a time: as many as there are in a row that the same text follows.
    fn open_stars(&self) -> usize {
        let inner = self.parts.get(1..self.parts.len().saturating_sub(1)).unwrap_or_default();
        let mut most = 0;
        let mut run: &[String] = &[];
        for (at, part) in inner.iter().enumerate() {
            let begins_alike = run.first().is_some_and(|first| part.starts_with(first.as_str()));
            run = if begins_alike { &inner[at - run.len()..=at] } else { &inner[at..=at] };
            most = most.max(run.len());
        }
        // The star before the first of them is open too.
        most + usize::from(most > 0)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let (Some(first), Some(last)) = (self.parts.first(), self.parts.last()) else { return false };
        if self.parts.len() == 1 {
            return text == first;
        }
        let Some(mut rest) = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else { return false };
        // Each text at its first place leaves the most for those after it.
        for part in &self.parts[1..self.parts.len() - 1] {
            match rest.find(part.as_str()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        let hit = |pattern: &str, text: &str| Wildcard::parse(pattern).unwrap().matches(text);
        for (pattern, text) in
            [("*", ""), ("a*c", "abbc"), ("a*c", "ac"), ("*bc", "abc"), ("a*b*c", "axbyc"), ("\\*", "*"), ("", ""), ("a*ab", "aab")]
        {
            assert!(hit(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a*a", "a"), ("a*b*c", "acb"), ("\\\\*", "x"), ("a*", "ba")] {
            assert!(!hit(pattern, text), "{pattern} {text}");
        }
        for bad in ["a**b", "\\a", "a\\", "*:*:*:*:*:event-bus/*"] {
            assert!(Wildcard::parse(bad).is_err(), "{bad}");
        }
        assert!(Wildcard::parse("/Users/*/dir/dir/dir/dir/dir/doc.txt").is_ok());
    }
}
