//! Secrets of targets: named in the rules, read where they are kept, shown nowhere.
//!
//! A reference is `env:NAME` or `file:PATH`; whoever knows more places (AWS Secrets Manager) implements [`Secrets`] and hands the
//! rest on to [`LocalSecrets`].

use crate::input;
use std::fmt;
use std::path::Path;

/// The largest secret.
const MAX_SECRET_KIB: u64 = 64;

/// A value that is neither printed nor compared in passing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value in.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one who sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads secrets by reference.
pub trait Secrets: Send + Sync {
    /// The secret that a reference names.
    ///
    /// # Errors
    /// When the reference is none, or there is nothing behind it. The text never holds a secret.
    fn resolve(&self, reference: &str) -> Result<Secret, String>;
}

/// Environment variables and files.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalSecrets;

impl Secrets for LocalSecrets {
    fn resolve(&self, reference: &str) -> Result<Secret, String> {
        if let Some(name) = reference.strip_prefix("env:") {
            let value = std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?;
            return filled(&value).ok_or_else(|| format!("the environment variable {name} is empty"));
        }
        if let Some(path) = reference.strip_prefix("file:") {
            let value = input::text(Path::new(path), MAX_SECRET_KIB);
            let value = value.map_err(|reason| format!("the secret in '{path}' cannot be read: {reason}"))?;
            return filled(&value).ok_or_else(|| format!("'{path}' is empty"));
        }
        // What stands here may be the secret itself: it is not repeated.
        Err("a secret is named, not written: env:NAME or file:PATH".into())
    }
}

/// A value without the line's end that editors and `echo` leave behind it.
fn filled(value: &str) -> Option<Secret> {
    let value = value.trim_end_matches(['\r', '\n']);
    (!value.is_empty()).then(|| Secret::new(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_named_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cret\n").unwrap();
        let secret = LocalSecrets.resolve(&format!("file:{}", path.display())).unwrap();
        assert_eq!((secret.expose(), format!("{secret:?}").as_str()), ("s3cret", "Secret(…)"));
        std::fs::write(&path, "\n").unwrap();
        for reference in [
            format!("file:{}", path.display()),
            format!("file:{}", folder.path().display()),
            "file:/nothing/here".into(),
            "env:LESTRADE_TEST_NOT_SET".into(),
        ] {
            assert!(LocalSecrets.resolve(&reference).is_err(), "{reference}");
        }
        let error = LocalSecrets.resolve("hunter2").unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
