//! AWS service contracts generated from the published models, and their signing.
