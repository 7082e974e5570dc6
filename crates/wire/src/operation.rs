//! What a service is to the protocols: its operations, their inputs and outputs, its errors.

use crate::{Shape, Shaped};
use serde::{Serialize, de::DeserializeOwned};

/// The operations of a service.
pub trait Service: Copy + Eq + 'static {
    /// What the service is called in the scope of a signature.
    const SIGNING_NAME: &'static str;
    /// The first label of its hosts.
    const ENDPOINT: &'static str;
    /// The version of its API.
    const VERSION: &'static str;
    /// How it speaks.
    const PROTOCOL: Protocol;
    /// All operations that we use.
    const ALL: &'static [Self];

    /// The operation's name.
    fn name(self) -> &'static str;

    /// How it is asked for over HTTP.
    fn binding(self) -> Binding;

    /// The shape of what is asked.
    fn input(self) -> &'static Shape;

    /// The shape of what is answered.
    fn output(self) -> &'static Shape;
}

/// How a service speaks, by the names that its model uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `rest-json`: bindings to labels, query and headers; what is left is a JSON body.
    RestJson,
    /// `json`: a JSON body; a header names the operation.
    Json {
        /// `1.0` or `1.1`.
        version: &'static str,
        /// What stands before the operation's name.
        target: &'static str,
    },
    /// `query`: a form in, XML out.
    Query,
    /// `ec2`: the same, with lists and names spelled otherwise.
    Ec2,
}

/// How an operation is asked for over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The method.
    pub method: &'static str,
    /// The path, with labels in braces.
    pub uri: &'static str,
    /// The status of a success.
    pub status: u16,
}

/// The input of an operation.
pub trait Request: Shaped + Serialize + DeserializeOwned {
    /// Whose operation.
    type Service: Service;
    /// What is answered.
    type Response: Shaped + Serialize + DeserializeOwned;
    /// Which operation.
    const OPERATION: Self::Service;
}

/// An error of a service's model.
pub trait ServiceError: std::error::Error {
    /// Its HTTP status.
    fn status(&self) -> u16;

    /// Its shape, whose name is the error's code.
    fn shape(&self) -> &'static Shape;

    /// Its members.
    ///
    /// # Errors
    /// As serde_json's: never for generated types.
    fn to_json(&self) -> serde_json::Result<serde_json::Value>;
}
