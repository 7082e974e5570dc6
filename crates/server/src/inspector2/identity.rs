//! `sts:GetCallerIdentity`, for clients that ask who they are before anything else. AWS's query protocol: a form in, XML out.

use super::keys::Principal;
use lestrade_wire::sigv4::Denial;
use lestrade_wire::{HttpRequest, HttpResponse, uri};

/// What STS is called in the scope of a signature.
pub(super) const SIGNING_NAME: &str = "sts";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Whether a request is for STS: every operation of it is a form that is posted to the root, which `inspector2` has not.
pub(super) fn is_asked(request: &HttpRequest) -> bool {
    request.method == "POST" && request.path == "/"
}

/// Answers a request whose sender is known.
pub(super) fn answer(principal: &Principal, request: &HttpRequest) -> HttpResponse {
    let form = std::str::from_utf8(&request.body).ok().and_then(uri::query_pairs).unwrap_or_default();
    let action = form.iter().find(|(name, _)| name == "Action").map(|(_, value)| value.as_str());
    if action != Some("GetCallerIdentity") {
        return error(400, "InvalidAction", "Only GetCallerIdentity is answered here.");
    }
    let (arn, name, account) = (escaped(&principal.arn()), escaped(&principal.name), escaped(&principal.scope.account));
    xml(
        200,
        format!(
            "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>{name}</UserId>\
             <Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        ),
    )
}

/// A denial in the words of this protocol.
pub(super) fn denied(denial: &Denial) -> HttpResponse {
    let code = match denial.code {
        "UnrecognizedClientException" => "InvalidClientTokenId",
        "InvalidSignatureException" => "SignatureDoesNotMatch",
        other => other.strip_suffix("Exception").unwrap_or(other),
    };
    error(Denial::STATUS, code, &denial.message)
}

/// A refusal in the words of this protocol.
pub(super) fn error(status: u16, code: &str, message: &str) -> HttpResponse {
    let message = escaped(message);
    let error = format!("<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>");
    xml(status, format!("<ErrorResponse xmlns=\"{NAMESPACE}\">{error}</ErrorResponse>"))
}

fn xml(status: u16, body: String) -> HttpResponse {
    HttpResponse { status, headers: vec![("content-type".to_owned(), "text/xml".to_owned())], body: body.into_bytes() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
