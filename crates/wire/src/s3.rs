//! What of S3 writes an object, whole or in parts, and reads one. S3 speaks a protocol of its own (REST with XML) of which this is all that is
//! needed, so its model is not generated. Buckets are named in the path: so they may be at any endpoint, and have dots.
//!
//! Source: the API reference of S3, `GetObject`, `PutObject`, `CreateMultipartUpload`, `UploadPart`, `CompleteMultipartUpload`,
//! `AbortMultipartUpload`.

use crate::shape::{Member, Shape};
use crate::sigv4::sha256;
use crate::{Error, HttpRequest, HttpResponse, Refusal, query, uri, xml};
use std::fmt::Write;

/// The name that requests are signed for.
pub const SIGNING_NAME: &str = "s3";
/// The first label of its hosts.
pub const ENDPOINT: &str = "s3";

/// An object that is written.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its bucket.
    pub bucket: String,
    /// Its key: the path in the bucket, not encoded.
    pub key: String,
    /// Its media type.
    pub media: &'static str,
    /// The ARN of the KMS key that it is encrypted with; none leaves that to the bucket.
    pub kms_key: Option<String>,
}

impl Object {
    fn ask(&self, method: &str, query: String, body: Vec<u8>) -> HttpRequest {
        let path = format!("/{}/{}", uri::encode(&self.bucket), uri::encode_except(&self.key, b"/"));
        let headers = vec![("x-amz-content-sha256".to_owned(), sha256(&body))];
        HttpRequest { method: method.to_owned(), path, query, headers, body }
    }

    fn described(&self, mut request: HttpRequest) -> HttpRequest {
        request.headers.push(("content-type".to_owned(), self.media.to_owned()));
        if let Some(key) = &self.kms_key {
            request.headers.push(("x-amz-server-side-encryption".to_owned(), "aws:kms".to_owned()));
            request.headers.push(("x-amz-server-side-encryption-aws-kms-key-id".to_owned(), key.clone()));
        }
        request
    }

    /// `PutObject`: the whole of it.
    #[must_use]
    pub fn put(&self, body: Vec<u8>) -> HttpRequest {
        self.described(self.ask("PUT", String::new(), body))
    }

    /// `CreateMultipartUpload`.
    #[must_use]
    pub fn begin(&self) -> HttpRequest {
        self.described(self.ask("POST", "uploads=".to_owned(), Vec::new()))
    }

    /// `UploadPart`; the first has number 1.
    #[must_use]
    pub fn part(&self, upload: &str, number: usize, body: Vec<u8>) -> HttpRequest {
        self.ask("PUT", format!("partNumber={number}&uploadId={}", uri::encode(upload)), body)
    }

    /// `CompleteMultipartUpload`, of the parts that have these tags.
    #[must_use]
    pub fn complete(&self, upload: &str, tags: &[String]) -> HttpRequest {
        let mut body = String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        for (index, tag) in tags.iter().enumerate() {
            let tag = tag.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
            let _ = write!(body, "<Part><PartNumber>{}</PartNumber><ETag>{tag}</ETag></Part>", index + 1);
        }
        body.push_str("</CompleteMultipartUpload>");
        let mut request = self.ask("POST", format!("uploadId={}", uri::encode(upload)), body.into_bytes());
        request.headers.push(("content-type".to_owned(), "application/xml".to_owned()));
        request
    }

    /// `AbortMultipartUpload`.
    #[must_use]
    pub fn abort(&self, upload: &str) -> HttpRequest {
        self.ask("DELETE", format!("uploadId={}", uri::encode(upload)), Vec::new())
    }
}

/// `GetObject`, of a bucket and a key that is not encoded.
#[must_use]
pub fn get(bucket: &str, key: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        path: format!("/{}/{}", uri::encode(bucket), uri::encode_except(key, b"/")),
        headers: vec![("x-amz-content-sha256".to_owned(), sha256(b""))],
        ..HttpRequest::default()
    }
}

/// The object that a response of `GetObject` brings, whatever is in it.
///
/// # Errors
/// When S3 refused.
pub fn brought(response: HttpResponse) -> Result<HttpResponse, Error> {
    match response.status {
        200 => Ok(response),
        status => Err(refusal(status, &String::from_utf8_lossy(&response.body)).into()),
    }
}

/// A response of success as it is; what S3 refuses, also where it says so in a response of success, as it does when the parts of an
/// upload cannot be put together.
///
/// # Errors
/// When it refused.
pub fn taken(response: HttpResponse) -> Result<HttpResponse, Error> {
    let body = String::from_utf8_lossy(&response.body);
    let is_success = (200..300).contains(&response.status);
    if is_success && !body.contains("<Error>") {
        return Ok(response);
    }
    // Half of an answer, whose error passes: `InternalError` under 200 is to be asked again.
    let status = if is_success { 500 } else { response.status };
    Err(refusal(status, &body).into())
}

/// S3's errors are those of others without what is around them.
fn refusal(status: u16, body: &str) -> Refusal {
    let start = body.find("<Error>").unwrap_or_default();
    query::refusal(status, &format!("<ErrorResponse>{}</ErrorResponse>", &body[start..]))
}

/// The id of the upload that a response of `CreateMultipartUpload` begins.
///
/// # Errors
/// When there is none.
pub fn upload_id(response: &HttpResponse) -> Result<String, Error> {
    static STRING: Shape = Shape::string("String");
    static RESULT: Shape = Shape::structure("InitiateMultipartUploadResult", &[Member::optional("UploadId", &STRING)]);
    let value = xml::read(&RESULT, &String::from_utf8_lossy(&response.body)).ok();
    let id = value.as_ref().and_then(|value| value["UploadId"].as_str()).filter(|id| !id.is_empty());
    id.map(str::to_owned).ok_or_else(|| Error::Malformed("an upload without an id".to_owned()))
}

/// The tag of a part that was taken.
///
/// # Errors
/// When there is none.
pub fn part_tag(response: &HttpResponse) -> Result<String, Error> {
    response.header("etag").map(str::to_owned).ok_or_else(|| Error::Malformed("a part without an ETag".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Object {
        Object {
            bucket: "reports.eu".into(), key: "a b/ü+1.json".into(), media: "application/json", kms_key: Some("arn:aws:kms:x".into())
        }
    }

    #[test]
    fn requests_name_the_object_in_the_path_and_the_key_that_seals_it() {
        let put = object().put(b"{}".to_vec());
        assert_eq!((put.method.as_str(), put.path.as_str()), ("PUT", "/reports.eu/a%20b/%C3%BC%2B1.json"));
        assert_eq!(put.header("x-amz-server-side-encryption"), Some("aws:kms"));
        assert_eq!(put.header("x-amz-server-side-encryption-aws-kms-key-id"), Some("arn:aws:kms:x"));
        assert_eq!(put.header("x-amz-content-sha256"), Some("44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"));
        let part = object().part("u/1", 2, vec![]);
        assert_eq!((part.query.as_str(), part.header("x-amz-server-side-encryption")), ("partNumber=2&uploadId=u%2F1", None));
        let whole = object().complete("u", &["\"a<b\"".into(), "c".into()]);
        let body = String::from_utf8(whole.body).unwrap();
        assert!(body.contains("<Part><PartNumber>1</PartNumber><ETag>&quot;a&lt;b&quot;</ETag></Part><Part><PartNumber>2<"), "{body}");
    }

    #[test]
    fn answers_are_read_and_errors_under_success_are_errors() {
        let answer = |status, body: &str| HttpResponse { status, body: body.into(), ..HttpResponse::default() };
        let begun = "<?xml version=\"1.0\"?><InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>u1</UploadId></InitiateMultipartUploadResult>";
        assert_eq!(upload_id(&taken(answer(200, begun)).unwrap()).unwrap(), "u1");
        for (status, body, code) in [
            (
                404,
                "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><Message>no</Message><BucketName>b</BucketName></Error>",
                "NoSuchBucket",
            ),
            (200, "<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>", "InternalError"),
            (503, "busy", ""),
        ] {
            let Err(Error::Refused(refusal)) = taken(answer(status, body)) else { panic!("{body}") };
            assert_eq!(refusal.code, code);
            assert!(refusal.status >= 400);
        }
        assert!(brought(answer(200, "<Error>")).is_ok(), "what is in an object is not for us");
        let Err(Error::Refused(refusal)) = brought(answer(404, "<Error><Code>NoSuchKey</Code></Error>")) else { panic!("it is there") };
        assert_eq!(refusal.code, "NoSuchKey");
        assert_eq!(get("a", "x/AWS:Application/i=1").path, "/a/x/AWS%3AApplication/i%3D1");
        assert!(upload_id(&answer(200, "<html>")).is_err() && part_tag(&answer(200, "")).is_err());
    }
}
