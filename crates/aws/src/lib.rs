//! Discovery and collection from AWS.
