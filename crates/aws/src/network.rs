//! The network of an account in a region, as the documents that `reachability` reads: the answers of the `describe-*` calls.

use crate::{Error, Listing, NetworkObject, Session};
use lestrade_wire::{Service, Transport, ec2, elb, elbv2};
use serde_json::{Value, json};

/// The lists that make up a network: the operation, and the member of its answer.
const LISTS: [(ec2::Api, &str); 17] = [
    (ec2::Api::DescribeVpcs, "Vpcs"),
    (ec2::Api::DescribeSubnets, "Subnets"),
    (ec2::Api::DescribeRouteTables, "RouteTables"),
    (ec2::Api::DescribeNetworkAcls, "NetworkAcls"),
    (ec2::Api::DescribeInternetGateways, "InternetGateways"),
    (ec2::Api::DescribeVpnGateways, "VpnGateways"),
    (ec2::Api::DescribeVpcPeeringConnections, "VpcPeeringConnections"),
    (ec2::Api::DescribeSecurityGroups, "SecurityGroups"),
    (ec2::Api::DescribeNetworkInterfaces, "NetworkInterfaces"),
    (ec2::Api::DescribeInstances, "Reservations"),
    (ec2::Api::DescribeAddresses, "Addresses"),
    (ec2::Api::DescribeManagedPrefixLists, "PrefixLists"),
    (ec2::Api::DescribeTransitGatewayAttachments, "TransitGatewayAttachments"),
    // With what only they say: whether groups count over a transit gateway.
    (ec2::Api::DescribeTransitGateways, "TransitGateways"),
    (ec2::Api::DescribeTransitGatewayVpcAttachments, "TransitGatewayVpcAttachments"),
    (ec2::Api::DescribeTransitGatewayRouteTables, "TransitGatewayRouteTables"),
    (ec2::Api::DescribeVpcBlockPublicAccessExclusions, "VpcBlockPublicAccessExclusions"),
];

/// What must be seen whole: a route or a rule that was not seen would be taken for one that is not there.
///
/// The others may be refused, or not be known to a service that stands in for AWS: without them more counts as open, not less,
/// or what hangs on them is not seen, and that is told.
const NEEDED: [&str; 11] = [
    "Vpcs",
    "Subnets",
    "RouteTables",
    "NetworkAcls",
    "InternetGateways",
    "VpnGateways",
    "VpcPeeringConnections",
    "SecurityGroups",
    "NetworkInterfaces",
    "Reservations",
    "PrefixLists",
];

/// A network as it was described.
#[derive(Clone, Debug)]
pub struct DescribedNetwork {
    /// One object with all lists, spelled as the AWS CLI prints them.
    pub document: Value,
    /// What could not be asked for, a clause each: what hangs on it is not known.
    pub gaps: Vec<String>,
}

/// Describes the network.
///
/// # Errors
/// When a list that must be seen whole was not.
pub async fn describe_network<T: Transport + Clone>(session: &Session<T>) -> Result<DescribedNetwork, Error> {
    let mut collected = Collected { session, document: json!({}), gaps: Vec::new() };
    for (operation, member) in LISTS {
        collected.take(operation, json!({}), member).await?;
    }
    collected.prefix_lists().await?;
    collected.transit_routes().await?;
    collected.public_access().await;
    collected.load_balancers().await?;
    Ok(DescribedNetwork { document: collected.document, gaps: collected.gaps })
}

impl NetworkObject {
    /// The list of a description that it is in, what names it there, and its id.
    #[must_use]
    pub fn place(&self) -> (&'static str, &'static str, &str) {
        match self {
            Self::Group(id) => ("SecurityGroups", "GroupId", id),
            Self::Acl(id) => ("NetworkAcls", "NetworkAclId", id),
            Self::RouteTable(id) => ("RouteTables", "RouteTableId", id),
        }
    }
}

/// Describes one object of the network; none when it is gone.
///
/// # Errors
/// When it could not be asked for.
pub async fn describe_object<T: Transport + Clone>(session: &Session<T>, object: &NetworkObject) -> Result<Option<Value>, Error> {
    let (list, name, id) = object.place();
    const GONE: [&str; 3] = ["InvalidGroup.NotFound", "InvalidNetworkAclID.NotFound", "InvalidRouteTableID.NotFound"];
    let (operation, plural) = match object {
        NetworkObject::Group(_) => (ec2::Api::DescribeSecurityGroups, "GroupIds"),
        NetworkObject::Acl(_) => (ec2::Api::DescribeNetworkAcls, "NetworkAclIds"),
        NetworkObject::RouteTable(_) => (ec2::Api::DescribeRouteTables, "RouteTableIds"),
    };
    let Listing { items, missing } = session.list(operation, json!({ plural: [id] }), list).await;
    match missing {
        Some(error) if GONE.iter().any(|code| error.is_refusal(code)) => Ok(None),
        Some(error) => Err(error),
        None => Ok(items.into_iter().find(|item| item[name] == id)),
    }
}

struct Collected<'a, T> {
    session: &'a Session<T>,
    document: Value,
    gaps: Vec<String>,
}

impl<T: Transport + Clone> Collected<'_, T> {
    /// Adds a list to the document.
    async fn take<S: Service>(&mut self, operation: S, input: Value, member: &str) -> Result<(), Error> {
        let items = self.list(operation, input, member).await?;
        match self.document[member].as_array_mut() {
            Some(known) => known.extend(items),
            None => self.document[member] = items.into(),
        }
        Ok(())
    }

    async fn list<S: Service>(&mut self, operation: S, input: Value, member: &str) -> Result<Vec<Value>, Error> {
        let Listing { items, missing } = self.session.list(operation, input, member).await;
        match missing {
            Some(error) if NEEDED.contains(&member) => return Err(error),
            Some(error) => self.gaps.push(error.to_string()),
            None => {}
        }
        Ok(items)
    }

    fn texts(&self, list: &str, member: &str) -> Vec<String> {
        let items = self.document[list].as_array().into_iter().flatten();
        items.filter_map(|item| item[member].as_str()).map(str::to_owned).collect()
    }

    /// The entries of each prefix list, in it: AWS lists them apart.
    async fn prefix_lists(&mut self) -> Result<(), Error> {
        for id in self.texts("PrefixLists", "PrefixListId") {
            let entries = self.list(ec2::Api::GetManagedPrefixListEntries, json!({ "PrefixListId": id }), "Entries").await?;
            self.add("PrefixLists", "PrefixListId", &id, "Entries", entries);
        }
        Ok(())
    }

    async fn transit_routes(&mut self) -> Result<(), Error> {
        for id in self.texts("TransitGatewayRouteTables", "TransitGatewayRouteTableId") {
            let input = json!({
                "TransitGatewayRouteTableId": id,
                "Filters": [{"Name": "state", "Values": ["active", "blackhole"]}],
                "MaxResults": 1000,
            });
            // It has no pages: of more than it answers at once it says only that there are more.
            match self.session.ask(ec2::Api::SearchTransitGatewayRoutes, &input).await {
                Ok(mut answer) => {
                    let routes = answer["Routes"].as_array_mut().map(std::mem::take).unwrap_or_default();
                    self.add("TransitGatewayRouteTables", "TransitGatewayRouteTableId", &id, "Routes", routes);
                    if answer["AdditionalRoutesAvailable"] == true {
                        self.gaps.push(format!("SearchTransitGatewayRoutes: {id} has more routes than AWS tells of"));
                    }
                }
                Err(error) => self.gaps.push(error.to_string()),
            }
        }
        Ok(())
    }

    fn add(&mut self, list: &str, name: &str, id: &str, member: &str, items: Vec<Value>) {
        let found = self.document[list].as_array_mut().into_iter().flatten().find(|item| item[name] == id);
        if let Some(item) = found {
            item[member] = items.into();
        }
    }

    /// Without its exceptions a block would say "closed" of what is open: then it counts as none, and that is told.
    async fn public_access(&mut self) {
        if self.gaps.iter().any(|gap| gap.starts_with("DescribeVpcBlockPublicAccessExclusions")) {
            return;
        }
        match self.session.ask(ec2::Api::DescribeVpcBlockPublicAccessOptions, &json!({})).await {
            Ok(mut answer) => self.document["VpcBlockPublicAccessOptions"] = answer["VpcBlockPublicAccessOptions"].take(),
            Err(error) => self.gaps.push(error.to_string()),
        }
    }

    async fn load_balancers(&mut self) -> Result<(), Error> {
        self.take(elb::Api::DescribeLoadBalancers, json!({}), "LoadBalancerDescriptions").await?;
        for name in self.texts("LoadBalancerDescriptions", "LoadBalancerName") {
            self.classic_attributes(&name).await;
        }
        self.take(elbv2::Api::DescribeLoadBalancers, json!({}), "LoadBalancers").await?;
        for arn in self.texts("LoadBalancers", "LoadBalancerArn") {
            self.take(elbv2::Api::DescribeListeners, json!({ "LoadBalancerArn": arn }), "Listeners").await?;
            self.attributes(elbv2::Api::DescribeLoadBalancerAttributes, "LoadBalancerArn", &arn, "LoadBalancerAttributes").await?;
        }
        for arn in self.texts("Listeners", "ListenerArn") {
            self.take(elbv2::Api::DescribeRules, json!({ "ListenerArn": arn }), "Rules").await?;
        }
        self.take(elbv2::Api::DescribeTargetGroups, json!({}), "TargetGroups").await?;
        for arn in self.texts("TargetGroups", "TargetGroupArn") {
            self.attributes(elbv2::Api::DescribeTargetGroupAttributes, "TargetGroupArn", &arn, "TargetGroupAttributes").await?;
            let health = self.list(elbv2::Api::DescribeTargetHealth, json!({ "TargetGroupArn": arn }), "TargetHealthDescriptions").await?;
            self.add("TargetGroups", "TargetGroupArn", &arn, "TargetHealthDescriptions", health);
        }
        Ok(())
    }

    /// The attributes of a classic load balancer: whether it sends to other zones. Without them it counts as one that does.
    async fn classic_attributes(&mut self, name: &str) {
        match self.session.ask(elb::Api::DescribeLoadBalancerAttributes, &json!({ "LoadBalancerName": name })).await {
            Ok(mut answer) => {
                let attributes = answer["LoadBalancerAttributes"].take();
                self.push("LoadBalancerAttributes", json!({ "LoadBalancerName": name, "LoadBalancerAttributes": attributes }));
            }
            Err(error) => self.gaps.push(error.to_string()),
        }
    }

    fn push(&mut self, list: &str, entry: Value) {
        match self.document[list].as_array_mut() {
            Some(known) => known.push(entry),
            None => self.document[list] = json!([entry]),
        }
    }

    /// The attributes of one thing, with its name beside them.
    async fn attributes(&mut self, operation: elbv2::Api, name: &str, arn: &str, list: &str) -> Result<(), Error> {
        let attributes = self.list(operation, json!({ name: arn }), "Attributes").await?;
        self.push(list, json!({ name: arn, "Attributes": attributes }));
        Ok(())
    }
}
