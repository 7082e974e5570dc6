//! What wanted files are called. Most paths of a system are nobody's, which their last part tells at one look; whole patterns are
//! compared where it does not.

use std::collections::HashSet;

/// The names that patterns allow.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Names as they are.
    whole: HashSet<String, foldhash::fast::RandomState>,
    /// What stands behind a name's last dot.
    endings: HashSet<String, foldhash::fast::RandomState>,
    /// Folders in which any file is wanted.
    folders: Vec<String>,
    /// Whether there are patterns that say less than that.
    any: bool,
}

/// Whether a part of a pattern stands for nothing but itself.
fn is_plain(part: &str) -> bool {
    !part.contains(['*', '?', '[', ']', '{', '}', '\\'])
}

impl Names {
    /// Adds the names that a pattern allows.
    pub(crate) fn add(&mut self, pattern: &str) {
        let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        let Some(names) = alternatives(name) else {
            self.any = true;
            return;
        };
        for name in names {
            match name.rsplit_once('.') {
                _ if is_plain(&name) => drop(self.whole.insert(name)),
                Some((_, ending)) if is_plain(ending) => drop(self.endings.insert(ending.to_owned())),
                _ if is_plain(folder) && !folder.is_empty() => self.folders.push(folder.to_owned()),
                _ => self.any = true,
            }
        }
    }

    /// Whether a file at this path may be wanted. Where it says no, no pattern matches.
    pub(crate) fn may_be(&self, path: &str) -> bool {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let below = |folder: &String| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'));
        self.any
            || self.whole.contains(name)
            || name.rsplit_once('.').is_some_and(|(_, ending)| self.endings.contains(ending))
            || self.folders.iter().any(below)
    }
}

/// What a name is that has one choice in braces: each of its names. None where it is more involved.
fn alternatives(name: &str) -> Option<Vec<String>> {
    let Some((before, rest)) = name.split_once('{') else { return (!name.contains('}')).then(|| vec![name.to_owned()]) };
    let (choices, after) = rest.split_once('}')?;
    if choices.contains('{') || after.contains(['{', '}']) {
        return None;
    }
    Some(choices.split(',').map(|choice| format!("{before}{choice}{after}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use globset::GlobBuilder;
    use proptest::prelude::*;

    fn names(patterns: &[&str]) -> Names {
        let mut names = Names::default();
        patterns.iter().for_each(|pattern| names.add(pattern));
        names
    }

    #[test]
    fn what_is_nobodys_is_told_by_its_name() {
        let wanted = names(&["**/package.json", "**/*.{jar,war}", "var/lib/dpkg/status.d/*", "**/a-v*.toml", "etc/os-release"]);
        for (path, may_be) in [
            ("package.json", true),
            ("a/b/package.json", true),
            ("a/package.json/b", false),
            ("a/b.package.json", false),
            ("x/y.jar", true),
            (".war", true),
            ("jar", false),
            ("var/lib/dpkg/status.d/base", true),
            ("var/lib/dpkg/status.data", false),
            ("etc/os-release", true),
            ("usr/lib/libc.so.6", false),
            ("", false),
        ] {
            assert_eq!(wanted.may_be(path), may_be, "{path}");
        }
        for involved in ["**/{a,{b,c}}", "**/a}", "*/*", "[ab]", "a\\"] {
            assert!(names(&[involved]).may_be("anything"), "{involved}");
        }
    }

    #[test]
    fn our_own_patterns_leave_most_paths_out() {
        let all = crate::extractors().iter().flat_map(|extractor| extractor.wants().iter().copied());
        assert!(!names(&all.collect::<Vec<_>>()).may_be("usr/lib/x86_64-linux-gnu/libc.so.6"));
    }

    proptest! {
        /// Whatever a pattern matches may be wanted.
        #[test]
        fn nothing_is_lost(
            pattern in "(\\*\\*/)?([ab]/)?([ab.*?]{1,4}|[ab]\\.[*]\\.a|[*]\\.\\{a,b\\}|\\{a,b\\}[*]?)",
            paths in prop::collection::vec("([ab.]{1,2}/){0,2}[ab.]{1,5}", 1..40),
        ) {
            let Ok(glob) = GlobBuilder::new(&pattern).literal_separator(true).build() else { return Ok(()) };
            let (matcher, names) = (glob.compile_matcher(), names(&[&pattern]));
            for path in paths {
                prop_assert!(!matcher.is_match(&path) || names.may_be(&path), "{} {}", pattern, path);
            }
        }
    }
}
