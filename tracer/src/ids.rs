//! The identifiers that travel between kernel, runtime, API and records.
//!
//! Each is a newtype, so that a pod's UID cannot be passed where a container's id belongs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Id of a cgroup of the v2 hierarchy: `kernfs_node.id`, on 64-bit kernels the directory's inode number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CgroupId(#[serde(with = "crate::text")] pub u64);

/// Process id (thread group id) in the initial pid namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Pid(pub u32);

/// Nanoseconds of `CLOCK_BOOTTIME`: since boot, suspend included, never stepped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct BootNanos(
    #[serde(with = "crate::text")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub u64,
);

/// A container's id as the runtimes give it: 64 lower-case hexadecimal digits, no scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ContainerId(String);

/// A pod's `metadata.uid`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct PodUid(String);

/// What a cgroup's path calls a pod: its UID or, for a static pod, the config hash
/// (annotation `kubernetes.io/config.hash`). `pods::PodIndex` resolves both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct PodRef(String);

/// `/proc/sys/kernel/random/boot_id`: a UUID, new with every boot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct BootId(String);

/// Who numbers records about the node: 32 hexadecimal digits, drawn at random for each run of `trace` or `agent`. So no
/// two runs give a record the same id, also where nodes share a boot id, or the ledger has lost its last number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecorderId(String);

impl RecorderId {
    /// A new one.
    ///
    /// # Errors
    ///
    /// Where the kernel has no random bytes to give.
    pub fn draw() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        let mut drawn = 0;
        while drawn < bytes.len() {
            drawn += rustix::rand::getrandom(&mut bytes[drawn..], rustix::rand::GetRandomFlags::empty())?;
        }
        Ok(Self(format!("{:032x}", u128::from_be_bytes(bytes))))
    }

    /// One that was written down; `None` where the text is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 32 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for RecorderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl BootNanos {
    /// The time from `earlier` to `self`; zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl ContainerId {
    /// Length of every container id that containerd, CRI-O and Docker generate.
    pub const LEN: usize = 64;

    /// Takes `text` if it is an id; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        (text.len() == Self::LEN && hex).then(|| Self(text.to_owned()))
    }

    /// Splits a `containerID` of the API, such as `containerd://a24e...`, into scheme and id.
    #[must_use]
    pub fn parse_url(url: &str) -> Option<(&str, Self)> {
        let (scheme, id) = url.split_once("://")?;
        Self::parse(id).map(|id| (scheme, id))
    }

    /// The id with its runtime's scheme, as the API writes it.
    #[must_use]
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.0)
    }
}

/// What every id that holds text has: a constructor, a view, Display.
macro_rules! text_id {
    ($($name:ident),*) => {$(
        impl $name {
            /// Takes the text as it is.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
        }
    )*};
}

macro_rules! text_view {
    ($($name:ident),*) => {$(
        impl $name {
            /// The bare text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

macro_rules! number_display {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

text_id!(PodUid, PodRef, BootId);
text_view!(ContainerId, PodUid, PodRef, BootId);
number_display!(CgroupId, Pid, BootNanos);

impl PodRef {
    /// The pod's UID, where the path carries that and not a static pod's config hash (32 hexadecimal digits).
    #[must_use]
    pub fn uid(&self) -> Option<PodUid> {
        self.0.contains('-').then(|| PodUid::new(self.0.clone()))
    }
}

impl From<&PodUid> for PodRef {
    fn from(uid: &PodUid) -> Self {
        Self(uid.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a24ec411d2fbb5a3c5dbd4c9e5fbbb3b4e2f1d0c9b8a79685746352413021fff";

    #[test]
    fn a_config_hash_is_no_uid() {
        assert_eq!(PodRef::new("f0e1d2c3b4a5968778695a4b3c2d1e0f").uid(), None);
        let uid = PodUid::new("78089609-4f5d-4a7e-8b6e-6b2a3f1c0d9e");
        assert_eq!(PodRef::from(&uid).uid(), Some(uid));
    }

    #[test]
    fn container_ids_are_64_lower_case_hex_digits() {
        assert_eq!(ContainerId::parse(ID).map(|id| id.to_string()), Some(ID.to_owned()));
        assert_eq!(ContainerId::parse(&ID[1..]), None);
        assert_eq!(ContainerId::parse(&ID.to_uppercase()), None);
        assert_eq!(ContainerId::parse(&ID.replace('f', "g")), None);
        assert_eq!(ContainerId::parse(""), None);
    }

    #[test]
    fn api_container_ids_split_into_scheme_and_id() {
        let url = format!("cri-o://{ID}");
        let (scheme, id) = ContainerId::parse_url(&url).unwrap();
        assert_eq!((scheme, id.as_str()), ("cri-o", ID));
        assert_eq!(id.url("cri-o"), url);
        assert_eq!(ContainerId::parse_url(ID), None);
        assert_eq!(ContainerId::parse_url("containerd://"), None);
    }

    #[test]
    fn big_numbers_are_json_strings() {
        assert_eq!(serde_json::to_string(&BootNanos(u64::MAX)).unwrap(), "\"18446744073709551615\"");
        assert_eq!(serde_json::to_string(&CgroupId(7)).unwrap(), "\"7\"");
        assert_eq!(serde_json::to_string(&Pid(26623)).unwrap(), "26623");
        let read: BootNanos = serde_json::from_str("\"18446744073709551615\"").unwrap();
        assert_eq!(read, BootNanos(u64::MAX));
        assert!(serde_json::from_str::<BootNanos>("\"-1\"").is_err());
    }

    #[test]
    fn time_between_never_goes_below_zero() {
        assert_eq!(BootNanos(7).since(BootNanos(5)).as_nanos(), 2);
        assert_eq!(BootNanos(5).since(BootNanos(7)).as_nanos(), 0);
    }
}
