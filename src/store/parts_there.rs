//! Which parts of an unfinished upload a service has: ListParts (S3 API reference).
//!
//! Apart because it is asked only when a service has lost one that it had confirmed, and what it says is compared, never
//! taken for the content.

use std::collections::BTreeMap;

use object_store::MultipartId;

use super::asking::{Question, read_xml};
use super::connect::Backend;
use super::listing::Pages;
use super::{Kind, Store, StoreError};
use crate::oid::Oid;

/// A part, as the service has it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PartThere {
    /// Its tag, without quotes; empty if the service does not say.
    pub tag: String,
    /// Its length in bytes.
    pub len: u64,
}

#[derive(Default, Debug)]
struct Answer {
    /// By their numbers, which count from 1.
    parts: Vec<(u64, PartThere)>,
    truncated: bool,
    next: String,
}

impl Store {
    /// The parts of an upload that are there, by their index from 0.
    pub async fn parts_there(&self, oid: &Oid, id: &MultipartId) -> Result<BTreeMap<usize, PartThere>, StoreError> {
        let key = self.key(oid);
        let mut found = BTreeMap::new();
        let Backend::S3(s3) = &self.backend else { return Ok(found) };
        let (mut after, mut pages) = (String::new(), Pages::default());
        loop {
            let mut query = vec![("uploadId".to_owned(), id.clone())];
            if !after.is_empty() {
                query.push(("part-number-marker".to_owned(), after.clone()));
            }
            let body = self.ask_by_url(s3, Question::get(&key, query), ("list the parts of", &key)).await?;
            let answer = parse(&body).ok_or_else(|| {
                StoreError::about_key("list the parts of", &key, &self.url, Kind::Failed, "the answer is no list")
            })?;
            let by_index =
                |(number, part): (u64, PartThere)| Some((usize::try_from(number.checked_sub(1)?).ok()?, part));
            found.extend(answer.parts.into_iter().filter_map(by_index));
            // A service that gives the same page again has no more to give.
            if !answer.truncated || answer.next == after {
                return Ok(found);
            }
            after = answer.next;
            pages.turn(self, &after)?;
        }
    }
}

/// `ListPartsResult`; `None`: another document.
fn parse(body: &[u8]) -> Option<Answer> {
    let mut answer = Answer::default();
    read_xml(body, b"ListPartsResult", |path, text| match (path, text, answer.parts.last_mut()) {
        ([b"Part"], None, _) => answer.parts.push(Default::default()),
        ([b"Part", b"PartNumber"], Some(text), Some(part)) => part.0 = text.parse().unwrap_or_default(),
        ([b"Part", b"ETag"], Some(text), Some(part)) => text.trim_matches('"').clone_into(&mut part.1.tag),
        ([b"Part", b"Size"], Some(text), Some(part)) => part.1.len = text.parse().unwrap_or_default(),
        ([b"IsTruncated"], Some(text), _) => answer.truncated = text == "true",
        ([b"NextPartNumberMarker"], Some(text), _) => text.clone_into(&mut answer.next),
        _ => {}
    })?;
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_and_nothing_else_is_taken_for_it() {
        let body =
            br#"<?xml version="1.0"?><ListPartsResult xmlns="x"><Bucket>b</Bucket><IsTruncated>true</IsTruncated>
            <NextPartNumberMarker>2</NextPartNumberMarker>
            <Part><PartNumber>1</PartNumber><ETag>&quot;abc&quot;</ETag><Size>8388608</Size></Part>
            <Part><PartNumber>2</PartNumber><Size>nonsense</Size></Part><Owner><ID>x</ID></Owner></ListPartsResult>"#;
        let answer = parse(body).unwrap();
        let parts = [(1, PartThere { tag: "abc".into(), len: 8 << 20 }), (2, PartThere::default())];
        assert_eq!(answer.parts, parts);
        assert!(answer.truncated && answer.next == "2");
        let other = br"<ListMultipartUploadsResult></ListMultipartUploadsResult>";
        for other in [b"".as_slice(), other, &body[..body.len() - 30], &b"<x>".repeat(1 << 20)] {
            assert!(parse(other).is_none(), "what is cut short, foreign or without an end is no list");
        }
    }
}
