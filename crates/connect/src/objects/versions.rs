//! The answer to S3's ListObjectVersions.

use instant_xml::FromXml;

const S3_XML_NS: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// A page of versions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listing {
    /// Key and version, by key, the newest version of a key first.
    pub(super) versions: Vec<(String, String)>,
    /// Behind which key and version the next page begins.
    pub(super) next: Option<(String, String)>,
}

#[derive(FromXml)]
#[xml(rename = "ListVersionsResult", ns(S3_XML_NS))]
struct Answer {
    versions: Vec<Version>,
    #[xml(rename = "IsTruncated")]
    is_truncated: bool,
    #[xml(rename = "NextKeyMarker")]
    next_key: Option<String>,
    #[xml(rename = "NextVersionIdMarker")]
    next_version: Option<String>,
}

#[derive(FromXml)]
#[xml(rename = "Version", ns(S3_XML_NS))]
struct Version {
    #[xml(rename = "Key")]
    key: String,
    #[xml(rename = "VersionId")]
    version: String,
}

/// Reads a page. Delete markers hide nothing from the archive and are left out.
pub(super) fn parse(body: &[u8]) -> Result<Listing, String> {
    let text = str::from_utf8(body).map_err(|e| e.to_string())?;
    let answer: Answer = instant_xml::from_str(text).map_err(|e| e.to_string())?;
    let next = match (answer.is_truncated, answer.next_key, answer.next_version) {
        (false, _, _) => None,
        (true, Some(key), Some(version)) => Some((key, version)),
        (true, _, _) => return Err("it goes on, but does not say where".into()),
    };
    let versions = answer.versions.into_iter();
    Ok(Listing {
        versions: versions.map(|v| (v.key, v.version)).collect(),
        next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<ListVersionsResult xmlns=\"{S3_XML_NS}\"><Name>b</Name>{inner}</ListVersionsResult>"
        )
    }

    #[test]
    fn versions_are_read_and_delete_markers_left_out() {
        let version = |key: &str, version: &str| {
            format!(
                "<Version><Key>{key}</Key><VersionId>{version}</VersionId><IsLatest>true</IsLatest><Size>3</Size></Version>"
            )
        };
        let marker = "<DeleteMarker><Key>a</Key><VersionId>9</VersionId></DeleteMarker>";
        let inner = format!(
            "{marker}{}{}<IsTruncated>false</IsTruncated>",
            version("a", "2"),
            version("a", "1")
        );
        let listing = parse(page(&inner).as_bytes()).unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(listing.versions, [pair("a", "2"), pair("a", "1")]);
        assert_eq!(listing.next, None);
        let more = "<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>2</NextVersionIdMarker>";
        assert_eq!(
            parse(page(more).as_bytes()).unwrap().next,
            Some(pair("a", "2"))
        );
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        for bad in [
            "",
            "no",
            "<html></html>",
            &page(""),
            &page("<IsTruncated>true</IsTruncated>"),
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"\xff\xfe").is_err());
    }
}
