//! Objects of S3, or of what speaks like it, written as they come: each is there whole or not at all.

use crate::{Endpoints, Error, Https, Principal, Retry};
use lestrade_model::Clock;
use lestrade_wire::s3::{self, Object};
use lestrade_wire::sigv4::sign;
use lestrade_wire::{Endpoint, HttpRequest, HttpResponse, Transport};
use std::sync::Arc;

/// What is not larger goes in one request; what is, in parts of this size, of which S3 takes none smaller than 5 MiB.
const PART: usize = 16 << 20;
/// After so many parts they are twice as large: S3 takes 10,000, which so come to about a terabyte.
const PARTS_OF_A_SIZE: usize = 2_000;

/// Where buckets are, and as whom they are written to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketSettings {
    /// The profile that has the credentials, and may name a region and an endpoint; none takes what the SDK's chain finds.
    pub profile: Option<String>,
    /// The address of what speaks like S3; none is AWS's own.
    pub endpoint: Option<String>,
    /// The region where nothing else names one.
    pub region: String,
}

/// See the module. Cloning shares the connections and the credentials.
#[derive(Clone)]
pub struct Buckets<T> {
    pub(crate) transport: T,
    pub(crate) endpoint: Endpoint,
    pub(crate) region: String,
    pub(crate) principal: Principal,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) retry: Retry,
}

impl Buckets<Https> {
    /// Finds out who writes, and where. Nothing is asked of S3 yet.
    ///
    /// # Errors
    /// When the endpoint is none, or there is no chain of credentials.
    pub async fn enter(settings: &BucketSettings, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let mut loader = aws_config::defaults(aws_config::BehaviorVersion::latest());
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        let config = loader.load().await;
        let region = config.region().map_or_else(|| settings.region.clone(), |region| region.as_ref().to_owned());
        let variable = |name: &str| std::env::var(name).ok();
        let endpoint = match &settings.endpoint {
            Some(url) => Endpoint::parse(url).ok_or_else(|| Error::Endpoint(url.clone()))?,
            None => Endpoints::of_environment(variable, config.endpoint_url())?.named(s3::ENDPOINT, &region),
        };
        let principal = Principal::of_chain(&config)?;
        Ok(Self { transport: Https::new()?, endpoint, region, principal, clock, retry: Retry::default() })
    }
}

impl<T: Transport + Clone> Buckets<T> {
    /// Writes an object, whose bytes come bit by bit.
    #[must_use]
    pub fn write(&self, object: Object) -> ObjectWriter<T> {
        ObjectWriter { buckets: self.clone(), object, waiting: Vec::new(), upload: None, tags: Vec::new() }
    }

    /// Reads an object; none where there is no such.
    ///
    /// # Errors
    /// When S3 does not bring it.
    pub async fn read(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.ask("GetObject", s3::get(bucket, key), s3::brought).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(error) if error.is_refusal("NoSuchKey") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send(&self, operation: &'static str, request: HttpRequest) -> Result<HttpResponse, Error> {
        self.ask(operation, request, s3::taken).await
    }

    async fn ask(
        &self,
        operation: &'static str,
        request: HttpRequest,
        take: fn(HttpResponse) -> Result<HttpResponse, lestrade_wire::Error>,
    ) -> Result<HttpResponse, Error> {
        let mut attempt = 0;
        loop {
            // Asked for each attempt: what has run out meanwhile is renewed.
            let credentials = self.principal.credentials(self.clock.as_ref()).await?;
            let mut signed = request.clone();
            signed.headers.insert(0, ("host".to_owned(), self.endpoint.authority.clone()));
            sign(&mut signed, &credentials, &self.region, s3::SIGNING_NAME, self.clock.now());
            let origin = format!("{}://{}", self.endpoint.scheme, self.endpoint.authority);
            let answer = self.transport.send(&origin, signed).await.map_err(lestrade_wire::Error::from);
            match answer.and_then(take) {
                Ok(answer) => return Ok(answer),
                Err(error) => match self.retry.pause(attempt, &error) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(Error::Call { operation, source: error }),
                },
            }
            attempt += 1;
        }
    }
}

/// An object that is being written. It is there when [`finish`](Self::finish) has answered; what is given up is not.
pub struct ObjectWriter<T> {
    buckets: Buckets<T>,
    object: Object,
    waiting: Vec<u8>,
    upload: Option<String>,
    tags: Vec<String>,
}

impl<T: Transport + Clone> ObjectWriter<T> {
    /// Takes more of it.
    ///
    /// # Errors
    /// When S3 does not take what is sent.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.waiting.extend_from_slice(bytes);
        while self.waiting.len() > self.part_size() {
            let rest = self.waiting.split_off(self.part_size());
            let part = std::mem::replace(&mut self.waiting, rest);
            self.send_part(part).await?;
        }
        Ok(())
    }

    /// Ends it: now it is there.
    ///
    /// # Errors
    /// When S3 does not take it; then it is to be given up.
    pub async fn finish(&mut self) -> Result<(), Error> {
        let last = std::mem::take(&mut self.waiting);
        match self.upload {
            None => self.buckets.send("PutObject", self.object.put(last)).await?,
            Some(_) => self.complete(last).await?,
        };
        self.upload = None;
        Ok(())
    }

    /// Leaves nothing of it behind.
    ///
    /// # Errors
    /// When S3 does not say so: then parts of it may stay, of which nobody sees anything but the bill.
    pub async fn give_up(&mut self) -> Result<(), Error> {
        match self.upload.take() {
            Some(upload) => self.buckets.send("AbortMultipartUpload", self.object.abort(&upload)).await.map(drop),
            None => Ok(()),
        }
    }

    const fn part_size(&self) -> usize {
        let doubled = self.tags.len() / PARTS_OF_A_SIZE;
        PART << if doubled > 4 { 4 } else { doubled }
    }

    async fn send_part(&mut self, part: Vec<u8>) -> Result<(), Error> {
        let malformed = |operation| move |source| Error::Call { operation, source };
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => {
                let begun = self.buckets.send("CreateMultipartUpload", self.object.begin()).await?;
                let id = s3::upload_id(&begun).map_err(malformed("CreateMultipartUpload"))?;
                self.upload.insert(id).clone()
            }
        };
        let taken = self.buckets.send("UploadPart", self.object.part(&upload, self.tags.len() + 1, part)).await?;
        self.tags.push(s3::part_tag(&taken).map_err(malformed("UploadPart"))?);
        Ok(())
    }

    async fn complete(&mut self, last: Vec<u8>) -> Result<HttpResponse, Error> {
        self.send_part(last).await?;
        let upload = self.upload.clone().unwrap_or_default();
        self.buckets.send("CompleteMultipartUpload", self.object.complete(&upload, &self.tags)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};
    use lestrade_model::Timestamp;
    use lestrade_wire::sigv4::{Credentials, SecretKey};
    use std::time::Duration;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_700_000_000_000)
        }
    }

    fn buckets(script: &Script) -> Buckets<Script> {
        let credentials = Credentials { access_key: "AKID".into(), secret: SecretKey::new("secret".into()), session_token: None };
        Buckets {
            transport: script.clone(),
            endpoint: Endpoint::parse("http://127.0.0.1:9000").unwrap(),
            region: "eu-west-1".into(),
            principal: Principal::fixed(credentials),
            clock: Arc::new(Still),
            retry: Retry { attempts: 3, first_wait: Duration::ZERO, longest: Duration::ZERO },
        }
    }

    fn object() -> Object {
        Object { bucket: "b".into(), key: "k".into(), media: "text/csv", kms_key: None }
    }

    fn tagged(tag: &str) -> HttpResponse {
        HttpResponse { headers: vec![("ETag".into(), tag.into())], ..script::ok("") }
    }

    const BEGUN: &str = "<R><UploadId>u</UploadId></R>";
    const BROKEN: &str = "<Error><Code>InvalidPart</Code></Error>";

    #[tokio::test]
    async fn what_is_small_goes_in_one_request_and_a_busy_service_is_asked_again() {
        let script = Script::of([script::told(503, "<Error><Code>SlowDown</Code></Error>"), script::ok("")]);
        let mut writer = buckets(&script).write(object());
        writer.push(b"a,b\n").await.unwrap();
        writer.push(b"1,2\n").await.unwrap();
        assert!(script.sent().is_empty());
        writer.finish().await.unwrap();
        assert_eq!(script.sent(), ["a,b\n1,2\n", "a,b\n1,2\n"]);
    }

    #[tokio::test]
    async fn what_is_large_goes_in_parts() {
        let script = Script::of([script::ok(BEGUN), tagged("one"), tagged("two"), tagged("three"), script::ok("<R/>")]);
        let mut writer = buckets(&script).write(object());
        writer.push(&vec![b'x'; 2 * PART + 1]).await.unwrap();
        writer.push(b"y").await.unwrap();
        writer.finish().await.unwrap();
        let sent = script.sent();
        assert_eq!(sent.iter().map(String::len).collect::<Vec<_>>()[..4], [0, PART, PART, 2]);
        assert!(sent[4].contains("<PartNumber>3</PartNumber><ETag>three</ETag>"), "{}", sent[4]);
    }

    #[tokio::test]
    async fn of_what_cannot_be_written_nothing_is_left() {
        let script = Script::of([script::ok(BEGUN), tagged("one"), tagged("two"), script::told(400, BROKEN), script::ok("")]);
        let mut writer = buckets(&script).write(object());
        writer.push(&vec![b'x'; PART + 1]).await.unwrap();
        let error = writer.finish().await.unwrap_err();
        assert!(error.is_refusal("InvalidPart"), "{error}");
        writer.give_up().await.unwrap();
        assert_eq!(script.sent().len(), 5, "the last one ends the upload");
    }
}
