//! Identity, episodes, risk, filters, queries and aggregations of findings.
