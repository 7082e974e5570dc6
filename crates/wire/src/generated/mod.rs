//! What `cargo xtask models` wrote.

pub mod cloudformation;
pub mod cloudwatch;
pub mod ebs;
pub mod ec2;
pub mod ecr;
pub mod ecs;
pub mod eks;
pub mod elb;
pub mod elbv2;
pub mod inspector2;
pub mod inspector_scan;
pub mod lambda;
pub mod organizations;
pub mod sqs;
pub mod ssm;
pub mod sts;
