//! One kind of target to a file.

mod chat;
pub(crate) mod email;
pub(crate) mod jira;
pub(crate) mod json_lines;
pub(crate) mod pagerduty;
pub(crate) mod slack;
pub(crate) mod teams;
pub(crate) mod webhook;
