//! Which functions nobody has invoked, by CloudWatch's count of their invocations.
//!
//! Source: Lambda's developer guide, "Types of metrics for Lambda functions": `AWS/Lambda`, `Invocations`, by `FunctionName`.

use crate::{Listing, Session};
use lestrade_model::Timestamp;
use lestrade_wire::Transport;
use lestrade_wire::cloudwatch::Api;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The most metrics that one call asks for.
const MOST: usize = 500;
/// Seconds that one count is of: a day, which CloudWatch keeps for fifteen months.
const PERIOD: u32 = 86_400;

/// Those of some functions, by name, that were surely not invoked since an instant. Whoever is not among them was, or it is not
/// known: then `missing` says why.
pub async fn uninvoked_functions<T: Transport + Clone>(session: &Session<T>, names: &[String], since: Timestamp) -> Listing<String> {
    let mut uninvoked = Listing { items: Vec::new(), missing: None };
    for some in names.chunks(MOST) {
        let queries: Vec<Value> = some.iter().enumerate().map(|(index, name)| query(index, name)).collect();
        let until = session.clock().now();
        let input = json!({ "StartTime": since.as_millis() / 1000, "EndTime": until.as_millis() / 1000, "MetricDataQueries": queries });
        let Listing { items, missing } = session.list(Api::GetMetricData, input, "MetricDataResults").await;
        if missing.is_some() {
            return Listing { missing, ..uninvoked };
        }
        // A result may go over pages, of which the last one is complete.
        let of = |wanted: fn(&Value) -> bool| -> BTreeSet<usize> {
            items
                .iter()
                .filter(|result| wanted(result))
                .filter_map(|result| result["Id"].as_str()?.strip_prefix('f')?.parse().ok())
                .collect()
        };
        let complete = of(|result| result["StatusCode"] == "Complete");
        let invoked = of(|result| result["Values"].as_array().into_iter().flatten().any(|count| count.as_f64() != Some(0.0)));
        let never = |(index, name): (usize, &String)| (complete.contains(&index) && !invoked.contains(&index)).then(|| name.clone());
        uninvoked.items.extend(some.iter().enumerate().filter_map(never));
    }
    uninvoked
}

fn query(index: usize, name: &str) -> Value {
    let metric = json!({
        "Namespace": "AWS/Lambda", "MetricName": "Invocations", "Dimensions": [{ "Name": "FunctionName", "Value": name }],
    });
    json!({ "Id": format!("f{index}"), "MetricStat": { "Metric": metric, "Period": PERIOD, "Stat": "Sum" } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    #[tokio::test]
    async fn only_what_was_surely_not_invoked_is_idle() {
        let one = r#"{"NextToken": "more", "MetricDataResults": [
            {"Id": "f0", "Values": [], "StatusCode": "Complete"},
            {"Id": "f1", "Values": [2.0], "StatusCode": "PartialData"},
            {"Id": "f2", "Values": [0.0], "StatusCode": "Complete"},
            {"Id": "f3", "Values": [], "StatusCode": "InternalError"},
            {"Id": "f9", "StatusCode": "Complete"}, {"Id": 7}]}"#;
        let two = r#"{"MetricDataResults": [{"Id": "f1", "Values": [], "StatusCode": "Complete"}]}"#;
        let names = ["never", "often", "zero", "unknown", "untold"].map(str::to_owned);
        let script = Script::of([script::ok(one), script::ok(two)]);
        let idle = uninvoked_functions(&script::session(&script), &names, Timestamp::from_millis(1_690_000_000_000)).await;
        assert!(idle.missing.is_none());
        assert_eq!(idle.items, ["never", "zero"]);
        assert!(script.sent()[0].contains("\"StartTime\":1690000000,\"EndTime\":1700000000"), "{}", script.sent()[0]);

        let refused = script::told(403, r#"{"__type": "AccessDeniedException", "Message": "no"}"#);
        let idle = uninvoked_functions(&script::session(&Script::of([refused])), &names, Timestamp::default()).await;
        assert!(idle.items.is_empty() && idle.missing.is_some());
    }
}
