//! Setting an account up: the template of [`cloudformation`](crate::cloudformation), made a stack.

use crate::{Error, Session};
use lestrade_wire::Transport;
use lestrade_wire::cloudformation::Api;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The stack's name.
const STACK: &str = "lestrade";
const POLL: Duration = Duration::from_secs(3);
/// Ten minutes: a queue, some rules and a policy take one.
const POLLS: u32 = 200;

/// Makes the stack of a template, or brings the one that is there up to date. Answers its outputs by name.
///
/// # Errors
/// When it may not be made, or does not come to be; what CloudFormation says is in the error.
pub async fn apply<T: Transport + Clone>(session: &Session<T>, template: &Value) -> Result<BTreeMap<String, String>, Error> {
    let input = json!({"StackName": STACK, "TemplateBody": template.to_string(), "Capabilities": ["CAPABILITY_NAMED_IAM"]});
    match session.ask(Api::CreateStack, &input).await {
        Err(error) if error.is_refusal("AlreadyExistsException") => match session.ask(Api::UpdateStack, &input).await {
            // The same once more.
            Err(error) if error.is_refusal("ValidationError") && error.to_string().contains("No updates") => {}
            answer => drop(answer?),
        },
        answer => drop(answer?),
    }
    for _ in 0..POLLS {
        let mut answer = session.ask(Api::DescribeStacks, &json!({ "StackName": STACK })).await?;
        let stack = answer["Stacks"][0].take();
        match stack["StackStatus"].as_str().unwrap_or_default() {
            "CREATE_COMPLETE" | "UPDATE_COMPLETE" => return Ok(outputs(&stack)),
            status if status.ends_with("_IN_PROGRESS") => tokio::time::sleep(POLL).await,
            status => {
                let reason = stack["StackStatusReason"].as_str().unwrap_or("CloudFormation says no reason");
                return Err(Error::Document(format!("the stack '{STACK}' is {status}: {reason}")));
            }
        }
    }
    Err(Error::Document(format!("the stack '{STACK}' is not done")))
}

fn outputs(stack: &Value) -> BTreeMap<String, String> {
    let all = stack["Outputs"].as_array().into_iter().flatten();
    all.filter_map(|output| Some((output["OutputKey"].as_str()?.to_owned(), output["OutputValue"].as_str()?.to_owned()))).collect()
}
