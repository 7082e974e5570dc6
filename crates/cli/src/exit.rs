//! Exit codes: a contract with scripts.

use std::process::ExitCode;

/// How the program ends. Where several apply, [`Exit::worst`] tells which one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Ok,
    /// A gate that the user set was tripped.
    Gate,
    /// The command line or the configuration is wrong.
    Usage,
    /// The input cannot be read or is not what it should be.
    Input,
    /// Something of the input was not covered.
    Incomplete,
    /// Intelligence is missing, too old, or only the starter set.
    Intelligence,
    /// A registry or service cannot be reached.
    Network,
    /// A fault of ours.
    Bug,
    /// The number that the user wants where something is shown.
    Chosen(u8),
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Gate => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Incomplete => 4,
            Self::Intelligence => 5,
            Self::Network => 6,
            Self::Bug => 70,
            Self::Chosen(number) => number,
        }
    }

    /// Of several, the first of 70, 2, 3, 6, 5, 1, 4 wins.
    pub(crate) fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        const ORDER: [Exit; 7] = [Exit::Bug, Exit::Usage, Exit::Input, Exit::Network, Exit::Intelligence, Exit::Gate, Exit::Incomplete];
        let rank = |exit: &Self| ORDER.iter().position(|e| e == exit).unwrap_or(ORDER.len());
        all.into_iter().min_by_key(rank).unwrap_or(Self::Ok)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_wins() {
        assert_eq!(Exit::worst([Exit::Incomplete, Exit::Gate]), Exit::Gate);
        assert_eq!(Exit::worst([Exit::Gate, Exit::Intelligence]), Exit::Intelligence);
        assert_eq!(Exit::worst([Exit::Ok, Exit::Incomplete]), Exit::Incomplete);
        assert_eq!(Exit::worst([]), Exit::Ok);
    }
}
