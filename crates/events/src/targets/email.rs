//! E-mail by SMTP. A message's id is a function of the event's, so that a mailbox shows a repeat as the same message; a repeat after
//! a crash is marked besides.

use crate::headline::Headline;
use crate::{DeliveryError, EgressPolicy, Message, Secret, Sent, Surroundings, Target, TargetRecord};
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{SmtpTransport, Transport};
use serde::Deserialize;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);
/// Receivers of one message.
const MAX_RECEIVERS: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The server, as it is named in its certificate.
    server: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    tls: Protection,
    from: String,
    to: Vec<String>,
    #[serde(default)]
    user: Option<String>,
    /// Where the password is kept.
    #[serde(default)]
    password: Option<String>,
}

/// How the connection is protected.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Protection {
    /// `STARTTLS`, and nothing is sent without it.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None: a relay on this machine.
    None,
}

struct Email {
    name: String,
    egress: EgressPolicy,
    server: String,
    port: u16,
    tls: Protection,
    from: Mailbox,
    to: Vec<Mailbox>,
    login: Option<(String, Secret)>,
}

pub(crate) fn open(record: &TargetRecord, surroundings: &Surroundings) -> Result<Box<dyn Target>, DeliveryError> {
    let fault = |reason: String| DeliveryError::unusable(&record.name, reason);
    let options: Options = record.options()?;
    let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|_| fault("from, to: an address is like name@example.org".into()));
    if options.to.is_empty() || options.to.len() > MAX_RECEIVERS {
        return Err(fault(format!("to: 1 to {MAX_RECEIVERS} addresses")));
    }
    let login = match (&options.user, &options.password) {
        (Some(_), Some(_)) if options.tls == Protection::None => {
            return Err(fault("a password is not sent over a connection without TLS".into()));
        }
        (Some(user), Some(password)) => Some((user.clone(), record.secret("password", password, surroundings)?)),
        (None, None) => None,
        _ => return Err(fault("user and password belong together".into())),
    };
    Ok(Box::new(Email {
        name: record.name.clone(),
        egress: surroundings.egress,
        port: options.port.unwrap_or(match options.tls {
            Protection::Starttls => 587,
            Protection::Tls => 465,
            Protection::None => 25,
        }),
        tls: options.tls,
        from: mailbox(&options.from)?,
        to: options.to.iter().map(mailbox).collect::<Result<_, _>>()?,
        server: options.server,
        login,
    }))
}

impl Email {
    /// A connection to an address that was checked, under the name that its certificate must have.
    fn transport(&self) -> Result<SmtpTransport, DeliveryError> {
        let address = self.egress.resolve(&self.server, self.port).map_err(DeliveryError::retry)?;
        let address = address.first().ok_or_else(|| DeliveryError::retry("no address"))?;
        let parameters = || TlsParameters::new(self.server.clone()).map_err(|_| DeliveryError::retry("TLS cannot be set up"));
        let tls = match self.tls {
            Protection::Starttls => Tls::Required(parameters()?),
            Protection::Tls => Tls::Wrapper(parameters()?),
            Protection::None => Tls::None,
        };
        let mut builder = SmtpTransport::builder_dangerous(address.ip().to_string()).port(self.port).tls(tls).timeout(Some(TIMEOUT));
        if let Some((user, password)) = &self.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(builder.build())
    }

    fn mail(&self, message: &Message) -> Result<lettre::Message, DeliveryError> {
        let headline = Headline::of(message);
        let mut builder = lettre::Message::builder()
            .from(self.from.clone())
            .subject(format!("[lestrade] {}", headline.title))
            .message_id(Some(format!("<{}@lestrade>", message.event.id)))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        builder.body(headline.text(message)).map_err(|_| DeliveryError::Refused("no mail can be made of it".into()))
    }
}

impl Target for Email {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes_key(&self) -> bool {
        false
    }

    fn deliver(&mut self, messages: &[Message]) -> Vec<Sent> {
        let transport = match self.transport() {
            Ok(transport) => transport,
            Err(error) => return vec![Err(error); messages.len()],
        };
        let send = |message: &Message| {
            let sent = transport.send(&self.mail(message)?);
            // What the server says is not repeated: 5xx is for good, anything else may pass.
            sent.map(|_| ()).map_err(|error| match error.status() {
                Some(code) if error.is_permanent() => DeliveryError::Refused(format!("the server answered {code}")),
                Some(code) => DeliveryError::retry(format!("the server answered {code}")),
                None if error.is_timeout() => DeliveryError::unanswered("no answer in time"),
                None => DeliveryError::unanswered("the exchange broke off"),
            })
        };
        messages.iter().map(send).collect()
    }
}
