//! SNS: `Publish`. A FIFO topic is given the event's id to tell repeats; every topic has it as an attribute.

use super::call::{Caller, Place, taken};
use lestrade_events::{DeliveryError, Message, Sent, Surroundings, Target, TargetRecord};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

/// The longest subject that SNS takes.
const MAX_SUBJECT: usize = 99;

#[derive(Deserialize)]
struct Options {
    #[serde(flatten)]
    place: Place,
    #[serde(rename = "topic-arn")]
    topic_arn: String,
}

struct Sns {
    name: String,
    caller: Caller,
    topic_arn: String,
}

pub(super) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let options: Options = record.options()?;
    let caller = Caller::open(record, surroundings, "sns", &options.place)?;
    Ok(Box::new(Sns { name: record.name.clone(), caller, topic_arn: options.topic_arn }))
}

impl Sns {
    fn publish(&self, message: &Message) -> Sent {
        let event = &message.event;
        let about = event.vulnerability().unwrap_or_default();
        let subject = format!("{} {about} {}", event.text("/detail-type"), event.text("/detail/severity"));
        let subject: String = subject.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(MAX_SUBJECT).collect();
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", "Publish")
            .append_pair("Version", "2010-03-31")
            .append_pair("TopicArn", &self.topic_arn)
            .append_pair("Subject", subject.trim())
            .append_pair("Message", &message.payload())
            .append_pair("MessageAttributes.entry.1.Name", "lestrade-id")
            .append_pair("MessageAttributes.entry.1.Value.DataType", "String")
            .append_pair("MessageAttributes.entry.1.Value.StringValue", &event.id);
        if self.topic_arn.ends_with(".fifo") {
            form.append_pair("MessageDeduplicationId", &event.id).append_pair("MessageGroupId", event.text("/account"));
        }
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned())];
        taken(&self.caller.send("/", &headers, form.finish())?)
    }
}

impl Target for Sns {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        messages.iter().map(|message| self.publish(message)).collect()
    }
}
