//! AWS service contracts generated from the published models, and what is needed to speak them.
//!
//! A service is a module with its types, its operations and its shapes as data: [`inspector2`], [`ec2`]. On them stand the
//! protocols: [`rest_json`] answers requests as a server, [`Client`] sends them, [`sigv4`] signs and verifies. One table of
//! [`Shape`]s serves validation and every encoding, so no code is generated that could be a walk over data.
//!
//! Nothing here opens a socket or knows a web framework: requests and responses are plain values ([`HttpRequest`],
//! [`HttpResponse`]), and whoever has a connection implements [`Transport`].

#[macro_use]
mod macros;

mod client;
mod error;
mod generated;
mod http;
mod json;
mod operation;
mod query;
pub mod rest_json;
pub mod s3;
mod scalar;
mod shape;
pub mod sigv4;
pub mod uri;
mod validate;
mod xml;

pub use client::{Client, Endpoint};
pub use error::{Error, Refusal};
pub use generated::{
    cloudformation, cloudwatch, ebs, ec2, ecr, ecs, eks, elb, elbv2, inspector_scan, inspector2, lambda, organizations, sqs, ssm, sts,
};
pub use http::{HttpRequest, HttpResponse, Transport, TransportError};
pub use operation::{Binding, Protocol, Request, Service, ServiceError};
pub use scalar::{Blob, EpochSeconds};
pub use shape::{Kind, Limits, Member, Place, Shape, Shaped};
pub use validate::{Violation, validate};
