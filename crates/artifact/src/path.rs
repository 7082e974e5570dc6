//! Names of entries, as the file system that is being described would understand them.

use std::fmt::Write as _;

/// Why a name is not one that a file can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// Over the limit of bytes.
    #[error("a name of {0} bytes is too long")]
    TooLong(usize),
    /// Over the limit of components.
    #[error("a name of {0} components is too deep")]
    TooDeep(usize),
    /// No file system stores a NUL.
    #[error("a name with a NUL byte")]
    Nul,
}

/// `name` relative to the root, without empty or `.` components, each `..` undone: `./usr//lib/../bin` is `usr/bin`. What climbs
/// over the root stays at the root, as it would for a process whose root it is. The root itself is empty. Any other byte, a
/// backslash and a colon too, is an ordinary one.
///
/// # Errors
/// When the name is too long, too deep or holds a NUL.
pub(crate) fn normalise(name: &[u8], max_bytes: usize, max_depth: usize) -> Result<Vec<u8>, PathError> {
    if name.len() > max_bytes {
        return Err(PathError::TooLong(name.len()));
    }
    if name.contains(&0) {
        return Err(PathError::Nul);
    }
    let mut out = Vec::with_capacity(name.len());
    let mut depth = 0;
    for component in name.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                out.truncate(out.iter().rposition(|&b| b == b'/').unwrap_or(0));
                depth = usize::saturating_sub(depth, 1);
            }
            component => {
                if !out.is_empty() {
                    out.push(b'/');
                }
                out.extend_from_slice(component);
                depth += 1;
            }
        }
    }
    if depth > max_depth { Err(PathError::TooDeep(depth)) } else { Ok(out) }
}

/// A path for people: UTF-8 as it is, other bytes and control characters escaped.
pub(crate) fn shown(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_under_the_root() {
        for (name, want) in [
            ("usr/bin", "usr/bin"),
            ("./usr//lib/../bin/", "usr/bin"),
            ("/etc/passwd", "etc/passwd"),
            ("../../etc/passwd", "etc/passwd"),
            ("a/../../b", "b"),
            (".", ""),
            ("..", ""),
            ("C:\\x", "C:\\x"),
            ("...", "..."),
        ] {
            assert_eq!(normalise(name.as_bytes(), 100, 10), Ok(want.as_bytes().to_vec()), "{name}");
        }
        assert_eq!(normalise(b"a\0b", 100, 10), Err(PathError::Nul));
        assert_eq!(normalise(&[b'a'; 101], 100, 10), Err(PathError::TooLong(101)));
        assert_eq!(normalise(b"a/b/c", 100, 2), Err(PathError::TooDeep(3)));
    }

    #[test]
    fn hostile_names_are_escaped() {
        assert_eq!(shown(b"caf\xc3\xa9/\x1b[31m\xff\n"), "café/\\u{1b}[31m\\xff\\u{a}");
    }
}
