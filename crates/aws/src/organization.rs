//! The accounts of an organisation.
//!
//! Source: the API reference of Organizations, `ListAccounts`. Only the management account and delegated administrators may ask.

use crate::{Listing, Session};
use lestrade_wire::Transport;
use lestrade_wire::organizations::Api;
use serde_json::{Value, json};

/// The most that Organizations puts on a page.
const PAGE: u32 = 20;
/// States in which nobody gets into an account. Others, also those that are not known here, are tried.
const CLOSED: [&str; 4] = ["SUSPENDED", "PENDING_CLOSURE", "CLOSED", "PENDING_ACTIVATION"];

/// Where Organizations, which is not in every region, is asked in a partition.
pub(crate) fn home_region(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "cn-northwest-1",
        "aws-us-gov" => "us-gov-west-1",
        _ => "us-east-1",
    }
}

/// The numbers of the accounts of the organisation, sorted, without those that are suspended or closed.
pub(crate) async fn discover_accounts<T: Transport + Clone>(session: &Session<T>) -> Listing<String> {
    let mut listing = session.list(Api::ListAccounts, json!({ "MaxResults": PAGE }), "Accounts").await;
    // `State` takes the place of `Status`, which is to vanish.
    let state = |account: &Value| account["State"].as_str().or_else(|| account["Status"].as_str()).map(str::to_owned);
    listing.items.retain(|account| state(account).is_none_or(|state| !CLOSED.contains(&state.as_str())));
    let number = |account: Value| {
        let id = account["Id"].as_str()?;
        (id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
    };
    let mut accounts = listing.map("accounts", number);
    accounts.items.sort_unstable();
    accounts.items.dedup();
    accounts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::script::{self, Script};

    #[tokio::test]
    async fn accounts_come_over_all_pages_without_those_that_are_closed() {
        let one = r#"{"NextToken": "more", "Accounts": [
            {"Id": "333333333333", "Status": "ACTIVE"}, {"Id": "444444444444", "Status": "SUSPENDED"},
            {"Id": "555555555555", "State": "PENDING_CLOSURE", "Status": "ACTIVE"}]}"#;
        let two =
            r#"{"Accounts": [{"Id": "111111111111", "State": "ACTIVE"}, {"Id": "222222222222", "State": "LEVITATING"}, {"Id": "x/../y"}]}"#;
        let script = Script::of([script::ok(one), script::ok(two)]);
        let listing = discover_accounts(&script::session(&script)).await;
        assert_eq!(listing.items, ["111111111111", "222222222222", "333333333333"]);
        assert!(matches!(listing.missing, Some(Error::Nameless { count: 1, .. })));
        assert!(script.sent()[1].contains("more"));
        let refused = script::told(400, r#"{"__type": "AWSOrganizationsNotInUseException", "Message": "no"}"#);
        assert!(discover_accounts(&script::session(&Script::of([refused]))).await.missing.is_some());
    }
}
