//! The smallest IAM policy with which s3lfs works, for `init --print-policy`.
//!
//! Apart because it is a text about AWS alone, and because what stands in it must be what the program asks for:
//! `doctor` asks for each of these permissions.

use clap::ValueEnum;
use serde_json::{Value, json};

/// What the user of the policy is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Purpose {
    /// Fetch content
    Read,
    /// Fetch and upload
    Write,
    /// Fetch, upload, and delete what nothing names (`cleanup`, `--purge-from-s3`)
    Cleanup,
}

/// A part of AWS that knows nothing of the others ("Amazon Resource Names" in the IAM user guide).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Partition {
    /// Everybody's.
    Aws,
    /// China's.
    China,
    /// GovCloud.
    UsGov,
}

impl Partition {
    /// The one that has this region.
    pub fn of(region: &str) -> Self {
        match region {
            _ if region.starts_with("cn-") => Partition::China,
            _ if region.starts_with("us-gov-") => Partition::UsGov,
            _ => Partition::Aws,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Partition::Aws => "aws",
            Partition::China => "aws-cn",
            Partition::UsGov => "aws-us-gov",
        }
    }
}

/// The policy for a bucket and a prefix (without outer slashes, may be empty); `kms` is the id or ARN of the
/// key that objects are encrypted with.
///
/// `s3:prefix` is in requests that list, and in no other: a condition on it that does not pass over requests
/// without it would deny the question whether one key is there ("HeadObject" in the S3 API reference: without
/// s3:ListBucket the answer is 403 and not 404).
pub fn policy(partition: Partition, bucket: &str, prefix: &str, purpose: Purpose, kms: Option<&str>) -> Value {
    let arn = |what: &str| format!("arn:{}:{what}", partition.name());
    let beneath = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    let bucket = arn(&format!("s3:::{bucket}"));
    let keys = |what: &str| format!("{bucket}/{beneath}{what}");
    let list = match prefix {
        "" => json!({ "Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket }),
        _ => json!({
            "Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket,
            "Condition": { "StringLikeIfExists": { "s3:prefix": format!("{beneath}*") } },
        }),
    };
    let allow = |sid: &str, actions: &[&str], resource: String| {
        let mut actions: Vec<Value> = actions.iter().map(|action| (*action).into()).collect();
        let actions = if actions.len() == 1 { actions.remove(0) } else { actions.into() };
        json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource })
    };
    let mut statements = vec![list, allow("Read", &["s3:GetObject"], keys("*"))];
    if purpose != Purpose::Read {
        let write = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"];
        statements.push(allow("Write", &write, keys("*")));
    }
    match purpose {
        Purpose::Read => {}
        // So that 'doctor' leaves nothing behind; nothing else is deleted.
        Purpose::Write => statements.push(allow("DeleteProbe", &["s3:DeleteObject"], keys("doctor/*"))),
        Purpose::Cleanup => {
            statements.push(allow("Delete", &["s3:DeleteObject"], keys("*")));
            statements.push(allow("ListUploads", &["s3:ListBucketMultipartUploads"], bucket.clone()));
        }
    }
    if let Some(key) = kms {
        // An alias is no key's name; whose key it is, a condition says ("kms:ResourceAliases", "ABAC for AWS KMS").
        let alias = key.split_once(":alias/").map(|(_, name)| name).or_else(|| key.strip_prefix("alias/"));
        let key = match alias {
            Some(_) => arn("kms:*:*:key/*"),
            None if key.starts_with("arn:") => key.to_owned(),
            None => arn(&format!("kms:*:*:key/{key}")),
        };
        let actions: &[&str] =
            if purpose == Purpose::Read { &["kms:Decrypt"] } else { &["kms:Decrypt", "kms:GenerateDataKey"] };
        let mut statement = allow("Key", actions, key);
        if let Some(alias) = alias {
            let named = json!({ "ForAnyValue:StringEquals": { "kms:ResourceAliases": format!("alias/{alias}") } });
            statement["Condition"] = named;
        }
        statements.push(statement);
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(policy: &Value) -> Vec<String> {
        let of = |action: &Value| match action {
            Value::Array(all) => all.iter().map(|a| a.as_str().unwrap().to_owned()).collect(),
            one => vec![one.as_str().unwrap().to_owned()],
        };
        policy["Statement"].as_array().unwrap().iter().flat_map(|s| of(&s["Action"])).collect()
    }

    #[test]
    fn each_purpose_has_what_it_needs_and_no_more() {
        let policy = |bucket, prefix, purpose, kms| policy(Partition::Aws, bucket, prefix, purpose, kms);
        let read = policy("b", "p/q", Purpose::Read, None);
        assert_eq!(actions(&read), ["s3:ListBucket", "s3:GetObject"]);
        assert_eq!(read["Statement"][1]["Resource"], "arn:aws:s3:::b/p/q/*");
        assert_eq!(read["Statement"][0]["Condition"]["StringLikeIfExists"]["s3:prefix"], "p/q/*");
        let write = policy("b", "p", Purpose::Write, Some("1-2"));
        assert!(actions(&write).contains(&"s3:AbortMultipartUpload".to_owned()));
        let deletes = |policy: &Value| {
            let statements = policy["Statement"].as_array().unwrap();
            statements.iter().find(|s| s["Action"] == "s3:DeleteObject").map(|s| s["Resource"].clone())
        };
        assert_eq!(deletes(&write), Some("arn:aws:s3:::b/p/doctor/*".into()), "a writer deletes the probe alone");
        assert_eq!(deletes(&read), None);
        assert_eq!(deletes(&policy("b", "", Purpose::Cleanup, None)), Some("arn:aws:s3:::b/*".into()));
        assert_eq!(write["Statement"][4]["Resource"], "arn:aws:kms:*:*:key/1-2");
        assert!(policy("b", "", Purpose::Read, None)["Statement"][0].get("Condition").is_none());
        for alias in ["alias/team", "arn:aws:kms:eu-central-1:123456789012:alias/team"] {
            let key = policy("b", "p", Purpose::Write, Some(alias))["Statement"][4].clone();
            assert_eq!(key["Resource"], "arn:aws:kms:*:*:key/*", "no key has the name of an alias");
            assert_eq!(key["Condition"]["ForAnyValue:StringEquals"]["kms:ResourceAliases"], "alias/team");
        }
    }

    #[test]
    fn each_part_of_aws_has_names_of_its_own() {
        for (region, list) in [
            ("eu-west-1", "arn:aws:s3:::b"),
            ("cn-north-1", "arn:aws-cn:s3:::b"),
            ("us-gov-west-1", "arn:aws-us-gov:s3:::b"),
        ] {
            let policy = policy(Partition::of(region), "b", "p", Purpose::Write, Some("1-2"));
            assert_eq!(policy["Statement"][0]["Resource"], list, "{region}");
            let key = policy["Statement"][4]["Resource"].as_str().unwrap();
            assert_eq!(key, list.replace("s3:::b", "kms:*:*:key/1-2"), "{region}");
        }
    }
}
