//! What is switched on in an account.

use super::call::Call;
use super::failure::Failure;
use super::organization;
use lestrade_model::Scope;
use lestrade_wire::inspector2::{
    Account, AccountState, BatchGetAccountStatusRequest, BatchGetAccountStatusResponse, DisableRequest, DisableResponse, EnableRequest,
    EnableResponse, ErrorCode, FailedAccount, ListAccountPermissionsRequest, ListAccountPermissionsResponse, Operation, Permission,
    ResourceScanType, ResourceState, ResourceStatus, Service, State, Status,
};
use serde::{Deserialize, Serialize};

const KIND: &str = "inspector2-account";
/// How many permissions are on a page when nobody says.
const PERMISSIONS: usize = 100;

/// Which kinds of resources are scanned. What we can scan without being asked twice is on from the start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
struct Enabled {
    ec2: bool,
    ecr: bool,
    lambda: bool,
    lambda_code: bool,
    code_repository: bool,
}

impl Default for Enabled {
    fn default() -> Self {
        Self { ec2: true, ecr: true, lambda: true, lambda_code: false, code_repository: false }
    }
}

impl Enabled {
    fn set(&mut self, kind: &ResourceScanType, on: bool) {
        match kind {
            ResourceScanType::Ec2 => self.ec2 = on,
            ResourceScanType::Ecr => self.ecr = on,
            ResourceScanType::Lambda => self.lambda = on,
            ResourceScanType::LambdaCode => self.lambda_code = on,
            ResourceScanType::CodeRepository => self.code_repository = on,
            ResourceScanType::Unlisted(_) => {}
        }
    }

    const fn any(&self) -> bool {
        self.ec2 || self.ecr || self.lambda || self.lambda_code || self.code_repository
    }

    /// The account as the API shows it: what is on has the given word.
    fn account(&self, scope: &Scope, on: &Status, off: &Status) -> Account {
        let word = |enabled: bool| if enabled { on.clone() } else { off.clone() };
        Account {
            account_id: scope.account.clone(),
            status: word(self.any()),
            resource_status: ResourceStatus {
                ec2: word(self.ec2),
                ecr: word(self.ecr),
                lambda: Some(word(self.lambda)),
                lambda_code: Some(word(self.lambda_code)),
                code_repository: Some(word(self.code_repository)),
                ami: Some(off.clone()),
            },
        }
    }
}

pub(super) fn enable(call: &Call<'_>, input: EnableRequest) -> Result<EnableResponse, Failure> {
    let (scopes, unseen) = call.accounts(input.account_ids.as_ref());
    let mut accounts = Vec::new();
    for scope in scopes {
        let mut enabled = read(call, scope)?;
        input.resource_types.iter().for_each(|kind| enabled.set(kind, true));
        write(call, scope, &enabled)?;
        // Clients expect it to take a while, and then ask for the status.
        accounts.push(enabled.account(scope, &Status::Enabling, &Status::Disabled));
    }
    Ok(EnableResponse { accounts, failed_accounts: Some(failed(&unseen)) })
}

pub(super) fn disable(call: &Call<'_>, input: DisableRequest) -> Result<DisableResponse, Failure> {
    let (scopes, unseen) = call.accounts(input.account_ids.as_ref());
    let mut accounts = Vec::new();
    for scope in scopes {
        let mut enabled = read(call, scope)?;
        match input.resource_types.as_deref() {
            None | Some([]) => enabled = Enabled { ec2: false, ecr: false, lambda: false, lambda_code: false, code_repository: false },
            Some(kinds) => kinds.iter().for_each(|kind| enabled.set(kind, false)),
        }
        write(call, scope, &enabled)?;
        accounts.push(enabled.account(scope, &Status::Enabled, &Status::Disabled));
    }
    Ok(DisableResponse { accounts, failed_accounts: Some(failed(&unseen)) })
}

pub(super) fn batch_get_account_status(
    call: &Call<'_>,
    input: BatchGetAccountStatusRequest,
) -> Result<BatchGetAccountStatusResponse, Failure> {
    let (scopes, unseen) = call.accounts(input.account_ids.as_ref());
    let mut accounts = Vec::new();
    for scope in scopes {
        let enabled = read(call, scope)?;
        accounts.push(AccountState {
            account_id: scope.account.clone(),
            state: state(enabled.any()),
            resource_state: ResourceState {
                ec2: state(enabled.ec2),
                ecr: state(enabled.ecr),
                lambda: Some(state(enabled.lambda)),
                lambda_code: Some(state(enabled.lambda_code)),
                code_repository: Some(state(enabled.code_repository)),
                ami: Some(state(false)),
            },
        });
    }
    Ok(BatchGetAccountStatusResponse { accounts, failed_accounts: Some(failed(&unseen)) })
}

pub(super) fn list_account_permissions(
    call: &Call<'_>,
    input: ListAccountPermissionsRequest,
) -> Result<ListAccountPermissionsResponse, Failure> {
    let cut = call.cut(&("ListAccountPermissions", &input.service), input.next_token.as_ref(), input.max_results, PERMISSIONS)?;
    let mut window = call.pages.window::<usize, Permission>(&cut, call.now)?;
    let services = [Service::Ec2, Service::Ecr, Service::Lambda].into_iter();
    let services = services.filter(|service| input.service.as_ref().is_none_or(|wanted| wanted == service));
    let permissions = services.flat_map(|service| {
        [Operation::EnableScanning, Operation::DisableScanning].map(|operation| Permission { service: service.clone(), operation })
    });
    permissions.enumerate().for_each(|(place, permission)| window.offer(place, || permission));
    let (permissions, next_token) = call.pages.close(window, &cut, call.now)?;
    Ok(ListAccountPermissionsResponse { permissions, next_token })
}

/// The model asks for an error code and message even where there is no error.
fn state(enabled: bool) -> State {
    let (status, error_code, message) = match enabled {
        true => (Status::Enabled, ErrorCode::AlreadyEnabled, "Scanning is enabled."),
        false => (Status::Disabled, ErrorCode::ResourceNotFound, "Scanning is not enabled."),
    };
    State { status, error_code, error_message: message.to_owned() }
}

fn failed(unseen: &[&str]) -> Vec<FailedAccount> {
    let failed = |account: &&str| FailedAccount {
        account_id: (*account).to_owned(),
        status: None,
        resource_status: None,
        error_code: ErrorCode::AccessDenied,
        error_message: "The account is not a member account of yours.".to_owned(),
    };
    unseen.iter().map(failed).collect()
}

/// A member that has not said is as its organization says.
fn read(call: &Call<'_>, scope: &Scope) -> Result<Enabled, Failure> {
    if let Some(enabled) = call.find_kept(scope, KIND)? {
        return Ok(enabled);
    }
    let organization = if scope == call.scope() { None } else { organization::auto_enable(call)? };
    Ok(organization.map_or_else(Enabled::default, |auto| Enabled {
        ec2: auto.ec2,
        ecr: auto.ecr,
        lambda: auto.lambda.unwrap_or_default(),
        lambda_code: auto.lambda_code.unwrap_or_default(),
        code_repository: auto.code_repository.unwrap_or_default(),
    }))
}

fn write(call: &Call<'_>, scope: &Scope, enabled: &Enabled) -> Result<(), Failure> {
    call.keep(scope, KIND, enabled)
}
