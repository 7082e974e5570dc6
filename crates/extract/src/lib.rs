//! A stream of files becomes components and occurrences.
