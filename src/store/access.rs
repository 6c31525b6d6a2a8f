//! How a store is to be used, as the user set it: region, credentials, encryption, addressing, and who pays for what.
//!
//! Apart because these are choices, made in `config` and carried out in `connect` and with each write.

use std::fmt;
use std::str::FromStr;

/// How a store is to be used; what does not matter for a directory is ignored there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// The bucket's region; if nothing is said, the profile's, else `us-east-1`.
    pub region: Option<String>,
    /// The profile in `~/.aws` that credentials come from, if the user named one for s3lfs alone.
    pub profile: Option<Chosen>,
    /// Encryption of new objects on the server.
    pub encryption: Encryption,
    /// Whether requests are signed.
    pub signing: Signing,
    /// How the bucket is named in URLs.
    pub addressing: Addressing,
    /// Over which protocols AWS is reached; if nothing is said, as the profile has it.
    pub reach: Option<Reach>,
    /// Which of AWS's hosts are asked; if nothing is said, as the profile has it.
    pub hosts: Option<Hosts>,
    /// Who pays for requests.
    pub payer: Payer,
    /// How new content is kept; if nothing is said, as the service does by itself.
    pub class: Option<StorageClass>,
}

/// A profile that the user named for s3lfs alone, by who named it: there it is changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Chosen {
    /// `--profile`.
    Flag(String),
    /// `s3lfs.profile` in Git's configuration.
    Key(String),
}

impl Chosen {
    /// The profile's name.
    pub fn name(&self) -> &str {
        let (Chosen::Flag(name) | Chosen::Key(name)) = self;
        name
    }
}

/// Whether this can be a region's name. It becomes part of a host's name.
pub fn is_region(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(legal)
}

/// Encryption of new objects on the server (design.md: AES-256 unless told otherwise).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Encryption {
    /// SSE-S3.
    #[default]
    Aes256,
    /// SSE-KMS, with a key, or with the account's own.
    Kms(Option<String>),
    /// No header: what the bucket does by itself.
    None,
}

/// Whether requests are signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Signing {
    /// With the user's credentials.
    #[default]
    Signed,
    /// Not at all: public buckets.
    Anonymous,
}

/// How the bucket is named in URLs ("Virtual hosting of buckets" in the S3 user guide).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Addressing {
    /// `https://bucket.host/key` on AWS, `https://host/bucket/key` elsewhere and for names with dots.
    #[default]
    Auto,
    /// `https://host/bucket/key`.
    Path,
    /// `https://bucket.host/key`.
    Virtual,
    /// `https://bucket.s3-accelerate.amazonaws.com/key`, on AWS ("Configuring fast, secure file transfers using Amazon
    /// S3 Transfer Acceleration" in the S3 user guide); the bucket must have been set up for it.
    Accelerated,
}

/// Over which protocols AWS is reached ("Using Amazon S3 dual-stack endpoints" in the S3 user guide).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reach {
    /// IPv4.
    #[default]
    Ipv4,
    /// IPv6 as well.
    DualStack,
}

impl Reach {
    /// By the word of a setting.
    pub fn dual(says: bool) -> Self {
        if says { Reach::DualStack } else { Reach::Ipv4 }
    }
}

/// Which of AWS's hosts are asked ("FIPS 140-2 endpoints" in the AWS documentation).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Hosts {
    /// The ordinary ones.
    #[default]
    Ordinary,
    /// Those whose cryptography was validated.
    Fips,
}

impl Hosts {
    /// By the word of a setting.
    pub fn fips(says: bool) -> Self {
        if says { Hosts::Fips } else { Hosts::Ordinary }
    }
}

/// Who pays for requests and transfer ("Using Requester Pays buckets" in the S3 user guide).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Payer {
    /// The bucket's owner.
    #[default]
    Owner,
    /// Whoever asks: each request says that he knows.
    Requester,
}

/// How new content is kept ("Understanding and managing Amazon S3 storage classes" in the S3 user guide), by its name in
/// the protocol: `STANDARD_IA`. Other services have names of their own, so that only the form is looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StorageClass(String);

impl FromStr for StorageClass {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let is_name = (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
        match name {
            // Content that wants hours of thawing before it can be read is no content to a checkout.
            "GLACIER" | "DEEP_ARCHIVE" => {
                Err("a class whose objects can be read at once, like STANDARD_IA or GLACIER_IR")
            }
            _ if is_name => Ok(Self(name.to_owned())),
            _ => Err("a storage class, like STANDARD_IA, INTELLIGENT_TIERING or GLACIER_IR"),
        }
    }
}

impl fmt::Display for StorageClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_a_name_and_none_that_has_to_be_thawed() {
        for good in ["STANDARD", "STANDARD_IA", "GLACIER_IR", "INTELLIGENT_TIERING", "EXPRESS-1"] {
            assert_eq!(good.parse::<StorageClass>().map(|class| class.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "standard", "GLACIER", "DEEP_ARCHIVE", "A\r\nx-amz-acl: public-read", "A B"] {
            assert!(bad.parse::<StorageClass>().is_err(), "{bad:?} is no class for us");
        }
    }
}
