//! The archive in a bucket of an S3-compatible store, under Object Lock in
//! compliance mode. Every request is signed for a few minutes and goes through
//! the HTTP port, with its bounds on time, size and addresses.
//!
//! Object Lock keeps each version of an object, not its name: whoever may write
//! to the bucket can put another version, or a delete marker, on top. So an
//! object here is the first version of its name.

use super::is_name;
use super::versions::{self, Listing};
use async_trait::async_trait;
use kernel::port::{
    Clock, Http, HttpAnswer, HttpFault, HttpRequest, Lock, ObjectFault, Objects, Secrets,
};
use kernel::{Digest, Refusal, Span, Timestamp};
use rusty_s3::actions::{GetObject, HeadObject, ListObjectsV2, PutObject, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a signed request may be used.
const SIGNED_FOR: Duration = Duration::from_secs(300);
/// The longest answer to anything but the reading of an object, in bytes.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Pages of one listing at most.
const PAGES_MAX: usize = 10_000;
/// Characters of a store's own words that are passed on.
const WORDS_MAX: usize = 200;

/// Which bucket, and as whom.
#[derive(Clone, Debug)]
pub struct S3Settings {
    /// Address of the store, for example `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// The region that requests are signed for.
    pub region: String,
    /// What stands before each object's name, without a `/` at its end.
    pub prefix: String,
    /// Reference to the access key.
    pub key: String,
    /// Reference to the secret key.
    pub secret: String,
    /// Whether the store may be on a private or loopback address.
    pub private_ranges_allowed: bool,
    /// How long one request may take.
    pub timeout: Span,
    /// The longest object, in bytes.
    pub object_bytes_max: usize,
}

/// A bucket under Object Lock.
pub struct S3 {
    settings: S3Settings,
    bucket: Bucket,
    http: Arc<dyn Http>,
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
}

impl S3 {
    /// The archive in this bucket. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// When the address, the bucket's name or the prefix cannot be.
    pub fn new(
        settings: S3Settings,
        http: Arc<dyn Http>,
        secrets: Arc<dyn Secrets>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Refusal> {
        let invalid = |what: &str| {
            Refusal::invalid(format!("`{what}` is no place for an archive"))
                .hint("give `s3://BUCKET/PREFIX` and the store's address as `https://HOST`")
        };
        let endpoint = settings
            .endpoint
            .parse()
            .map_err(|_| invalid(&settings.endpoint))?;
        if !settings.prefix.is_empty() && !is_name(&settings.prefix) {
            return Err(invalid(&settings.prefix));
        }
        // Every compatible store knows the path style; few have a name per bucket.
        let (name, region) = (settings.bucket.clone(), settings.region.clone());
        let bucket = Bucket::new(endpoint, UrlStyle::Path, name, region)
            .map_err(|_| invalid(&settings.bucket))?;
        Ok(Self {
            settings,
            bucket,
            http,
            secrets,
            clock,
        })
    }

    fn key(&self, name: &str) -> Result<String, ObjectFault> {
        if !is_name(name) {
            return Err(ObjectFault::Refused(format!(
                "`{name}` is no object's name"
            )));
        }
        Ok(match self.settings.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        })
    }

    fn credentials(&self) -> Result<Credentials, ObjectFault> {
        let text = |reference: &str| {
            let bytes = self.secrets.resolve(reference);
            let bytes = bytes.map_err(|e| ObjectFault::Refused(e.to_string()))?;
            String::from_utf8(bytes)
                .map_err(|_| ObjectFault::Refused(format!("the secret `{reference}` is not text")))
        };
        Ok(Credentials::new(
            text(&self.settings.key)?,
            text(&self.settings.secret)?,
        ))
    }

    /// Signs the action and sends it with these headers and this body.
    async fn send<'a, A: S3Action<'a>>(
        &self,
        mut action: A,
        method: &str,
        headers: BTreeMap<String, String>,
        body: Vec<u8>,
        answer_bytes_max: usize,
    ) -> Result<HttpAnswer, ObjectFault> {
        for (name, value) in &headers {
            action.headers_mut().insert(name.clone(), value.clone());
        }
        let now = jiff::Timestamp::from_microsecond(self.clock.now().as_micros())
            .map_err(|e| ObjectFault::Unavailable(format!("the clock: {e}")))?;
        let url = action.sign_with_time(SIGNED_FOR, &now);
        let request = HttpRequest {
            method: method.to_owned(),
            url: url.into(),
            headers,
            body,
            timeout: self.settings.timeout,
            answer_bytes_max,
            private_ranges_allowed: self.settings.private_ranges_allowed,
        };
        self.http.send(request).await.map_err(|fault| match fault {
            HttpFault::NotSent(text) | HttpFault::NoAnswer(text) => ObjectFault::Unavailable(text),
        })
    }

    /// The versions of the names that begin so, and what the page after is.
    async fn page(
        &self,
        prefix: &str,
        after: &Option<(String, String)>,
    ) -> Result<Listing, ObjectFault> {
        let credentials = self.credentials()?;
        let mut action = ListObjectsV2::new(&self.bucket, Some(&credentials));
        let query = action.query_mut();
        query.remove("list-type");
        query.remove("encoding-type");
        query.insert("versions", "");
        query.insert("prefix", prefix.to_owned());
        if let Some((key, version)) = after {
            query.insert("key-marker", key.clone());
            query.insert("version-id-marker", version.clone());
        }
        let answer = self
            .send(action, "GET", BTreeMap::new(), Vec::new(), ANSWER_BYTES_MAX)
            .await?;
        if answer.status != 200 {
            return Err(refused("list", &answer));
        }
        versions::parse(&answer.body).map_err(|what| {
            ObjectFault::Unavailable(format!("its list of versions cannot be read: {what}"))
        })
    }

    /// The first version of each name that begins so, by name.
    async fn first_versions(&self, prefix: &str) -> Result<BTreeMap<String, String>, ObjectFault> {
        let mut first = BTreeMap::new();
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let listing = self.page(prefix, &after).await?;
            // Newest first: the last that is heard of a name is its first.
            first.extend(listing.versions);
            match listing.next {
                None => return Ok(first),
                next if next == after => break,
                next => after = next,
            }
        }
        Err(ObjectFault::Unavailable(
            "its list of versions has no end".into(),
        ))
    }

    async fn first_version(&self, key: &str) -> Result<Option<String>, ObjectFault> {
        Ok(self.first_versions(key).await?.remove(key))
    }
}

#[async_trait]
impl Objects for S3 {
    async fn put(&self, name: &str, bytes: &[u8], until: Timestamp) -> Result<(), ObjectFault> {
        let key = self.key(name)?;
        let credentials = self.credentials()?;
        let headers = [
            ("content-type", "application/zstd".to_owned()),
            ("if-none-match", "*".to_owned()),
            ("x-amz-checksum-sha256", base64(&Digest::of(bytes).0)),
            ("x-amz-object-lock-mode", "COMPLIANCE".to_owned()),
            ("x-amz-object-lock-retain-until-date", seconds(until)),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        let action = PutObject::new(&self.bucket, Some(&credentials), &key);
        let answer = self
            .send(action, "PUT", headers, bytes.to_vec(), ANSWER_BYTES_MAX)
            .await?;
        match answer.status {
            200 | 201 => Ok(()),
            412 => Err(ObjectFault::Exists(name.to_owned())),
            _ => Err(refused("put", &answer)),
        }
    }

    async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, ObjectFault> {
        let key = self.key(name)?;
        let Some(version) = self.first_version(&key).await? else {
            return Ok(None);
        };
        let credentials = self.credentials()?;
        let mut action = GetObject::new(&self.bucket, Some(&credentials), &key);
        action.query_mut().insert("versionId", version);
        let max = self.settings.object_bytes_max;
        let answer = self
            .send(action, "GET", BTreeMap::new(), Vec::new(), max)
            .await?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            404 => Ok(None),
            _ => Err(refused("get", &answer)),
        }
    }

    async fn lock(&self, name: &str) -> Result<Lock, ObjectFault> {
        let key = self.key(name)?;
        let Some(version) = self.first_version(&key).await? else {
            return Err(ObjectFault::Unavailable(format!("`{name}` is not there")));
        };
        let credentials = self.credentials()?;
        let mut action = HeadObject::new(&self.bucket, Some(&credentials), &key);
        action.query_mut().insert("versionId", version);
        let answer = self
            .send(
                action,
                "HEAD",
                BTreeMap::new(),
                Vec::new(),
                ANSWER_BYTES_MAX,
            )
            .await?;
        if answer.status != 200 {
            return Err(refused("head", &answer));
        }
        Ok(locked(&answer.headers))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectFault> {
        let before = match self.settings.prefix.as_str() {
            "" => String::new(),
            before => format!("{before}/"),
        };
        let first = self.first_versions(&format!("{before}{prefix}")).await?;
        let names = first.into_keys().filter_map(|key| {
            let name = key.strip_prefix(&before)?;
            is_name(name).then(|| name.to_owned())
        });
        Ok(names.collect())
    }
}

/// How the answer to a HEAD says that the object is locked.
fn locked(headers: &BTreeMap<String, String>) -> Lock {
    let header = |name: &str| headers.get(name).map(String::as_str);
    let until = header("x-amz-object-lock-retain-until-date");
    match (
        header("x-amz-object-lock-mode"),
        until.map(Timestamp::parse),
    ) {
        (Some("COMPLIANCE"), Some(Ok(until))) => Lock::Compliance(until),
        _ => Lock::None,
    }
}

/// What an answer that is no success means. The request's URL holds its
/// signature and is not passed on; nor is the header of any request.
fn refused(what: &str, answer: &HttpAnswer) -> ObjectFault {
    let body = String::from_utf8_lossy(&answer.body);
    let part = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        let (text, _) = rest.split_once('<')?;
        Some(text.chars().take(WORDS_MAX).collect::<String>())
    };
    let words = match (part("Code"), part("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        _ => "it does not say why".to_owned(),
    };
    let text = format!("{what} answers {}: {}", answer.status, words.escape_debug());
    match answer.status {
        // Overload and faults of the other side pass; so does a wrong clock.
        408 | 409 | 425 | 429 | 500.. => ObjectFault::Unavailable(text),
        _ => ObjectFault::Refused(text),
    }
}

/// The instant as S3 writes it, rounded up: a lock is never shorter than asked.
fn seconds(until: Timestamp) -> String {
    let whole = until.plus(Span::from_micros(999_999)).to_string();
    format!("{}Z", whole.split('.').next().unwrap_or_default())
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compliance_until_an_instant_is_a_lock() {
        let until = Timestamp::parse("2030-01-01T00:00:00Z").unwrap();
        let rows = [
            (
                Some("COMPLIANCE"),
                Some("2030-01-01T00:00:00Z"),
                Lock::Compliance(until),
            ),
            (Some("GOVERNANCE"), Some("2030-01-01T00:00:00Z"), Lock::None),
            (Some("COMPLIANCE"), Some("soon"), Lock::None),
            (Some("COMPLIANCE"), None, Lock::None),
            (None, Some("2030-01-01T00:00:00Z"), Lock::None),
            (None, None, Lock::None),
        ];
        for (mode, date, expected) in rows {
            let headers = [
                mode.map(|m| ("x-amz-object-lock-mode".to_owned(), m.to_owned())),
                date.map(|d| {
                    (
                        "x-amz-object-lock-retain-until-date".to_owned(),
                        d.to_owned(),
                    )
                }),
            ];
            let headers = headers.into_iter().flatten().collect();
            assert_eq!(locked(&headers), expected, "{mode:?} {date:?}");
        }
    }

    #[test]
    fn a_lock_is_never_shorter_than_asked() {
        for (asked, written) in [
            ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
            ("2030-01-01T00:00:00.000001Z", "2030-01-01T00:00:01Z"),
        ] {
            assert_eq!(seconds(Timestamp::parse(asked).unwrap()), written);
        }
    }

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_not() {
        for (status, again) in [
            (400, false),
            (403, false),
            (404, false),
            (409, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            let body = b"<Error><Code>Odd\n</Code><Message>no</Message></Error>".to_vec();
            let answer = HttpAnswer {
                status,
                headers: BTreeMap::new(),
                body,
            };
            let fault = refused("put", &answer);
            assert_eq!(
                matches!(fault, ObjectFault::Unavailable(_)),
                again,
                "{status}"
            );
            assert!(fault.to_string().contains("Odd\\n: no"), "{fault}");
        }
    }
}
